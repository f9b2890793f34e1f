import type { App, ConsoleDeps } from '../context.ts'
import { addEvents } from './events.ts'
import { addJourneys } from './journeys.ts'
import { addOverview } from './overview.ts'
import { addQueues } from './queues.ts'
import { addSearch } from './search.ts'

/** Every page. A new one is added here. */
export function addPages(app: App, deps: ConsoleDeps): void {
  for (const add of [addOverview, addSearch, addEvents, addJourneys, addQueues]) add(app, deps)
}
