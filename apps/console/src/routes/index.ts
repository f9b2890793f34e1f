import type { App, ConsoleDeps } from '../context.ts'
import { addAudit } from './audit.ts'
import { addDeadLetters } from './dead-letters.ts'
import { addDrift } from './drift.ts'
import { addEvents } from './events.ts'
import { addJourneys } from './journeys.ts'
import { addNow } from './now.ts'
import { addOperations } from './operations.ts'
import { addOverview } from './overview.ts'
import { addQueues } from './queues.ts'
import { addReference } from './reference.ts'
import { addRunbooks } from './runbooks.ts'
import { addSearch } from './search.ts'

/** A new page is added here. */
const PAGES = [
  addOverview,
  addNow,
  addSearch,
  addEvents,
  addJourneys,
  addDeadLetters,
  addOperations,
  addDrift,
  addAudit,
  addQueues,
  addRunbooks,
  addReference,
]

export function addPages(app: App, deps: ConsoleDeps): void {
  for (const add of PAGES) add(app, deps)
}
