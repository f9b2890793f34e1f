import { type Audit, createAudit } from '../db/index.ts'
import { pause } from '../runtime/index.ts'
import { countBacklog } from './backlog.ts'
import type { Stores } from './stores.ts'

const LOOK_EVERY_MS = 250

/**
 * Waits until no event is on its way to the database, or `waitMs` have passed, and then hands out the audit. An event
 * that has not landed by then is missing in it.
 */
export async function auditOnceLanded(stores: Stores, waitMs: number): Promise<Audit> {
  const limit = Date.now() + waitMs
  while (Date.now() < limit) {
    const { inbox, queue } = await countBacklog(stores)
    if (inbox + (queue ?? 0) === 0) break
    await pause(LOOK_EVERY_MS)
  }
  return createAudit(stores.db)
}
