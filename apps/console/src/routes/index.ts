import type { App, ConsoleDeps } from '../app.ts'
import { addOverview } from './overview.ts'

/** Every page. A new one is added here. */
export function addPages(app: App, deps: ConsoleDeps): void {
  for (const add of [addOverview]) add(app, deps)
}
