import type { App, ConsoleDeps } from '../context.ts'
import { addNow } from './now.ts'
import { addOverview } from './overview.ts'
import { addQueues } from './queues.ts'

/** Every page. A new one is added here. */
export function addPages(app: App, deps: ConsoleDeps): void {
  for (const add of [addOverview, addNow, addQueues]) add(app, deps)
}
