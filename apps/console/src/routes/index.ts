import type { App, ConsoleDeps } from '../context.ts'
import { addOverview } from './overview.ts'
import { addQueues } from './queues.ts'

/** Every page. A new one is added here. */
export function addPages(app: App, deps: ConsoleDeps): void {
  for (const add of [addOverview, addQueues]) add(app, deps)
}
