import type { Recorded } from '../state/figures.ts'
import type { State } from '../state/index.ts'
import type { StorageFacts } from './storage-facts.ts'

/** What conditions are found in. */
export type Facts = { readonly state: State; readonly recorded: Recorded; readonly storage: StorageFacts }
