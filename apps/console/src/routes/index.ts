import type { App, ConsoleDeps } from '../context.ts'
import { addAudit } from './audit.ts'
import { addDeadLetters } from './dead-letters.ts'
import { addNow } from './now.ts'
import { addOperations } from './operations.ts'
import { addOverview } from './overview.ts'
import { addQueues } from './queues.ts'

/** Every page. A new one is added here. */
export function addPages(app: App, deps: ConsoleDeps): void {
  for (const add of [addOverview, addNow, addDeadLetters, addOperations, addAudit, addQueues]) add(app, deps)
}
