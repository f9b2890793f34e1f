import type { Recorded } from '../state/figures.ts'
import type { State } from '../state/index.ts'
import type { StorageFacts } from './storage-facts.ts'

/** What conditions are found in. */
export type Facts = {
  readonly state: State
  readonly recorded: Recorded
  readonly storage: StorageFacts
  /** For how long Postgres has answered this process, ms: without it, no other one can give a sign of life. */
  readonly upMs: number
}
