import { purgeTables } from '../../db/index.ts'
import { rewriteFiles } from '../../queue/index.ts'
import type { Stores } from '../stores.ts'
import type { Receipt } from './receipt.ts'

/** What Sluice cannot reach or could not do, and whether the files of the stores are written anew. */
export type Remains = { readonly list: Receipt['remains']; readonly isPurged: boolean }

const ALWAYS_TOUCHED = ['journeys', 'lost_journeys', 'dead_letters', 'inbox']

/**
 * Has the stores write their files anew.
 *
 * @param tables whose rows were deleted
 * @param filesMs how long a store may take
 */
export async function purge(
  { db, location, copies }: Stores,
  tables: readonly string[],
  filesMs: number,
): Promise<Remains> {
  const list: { where: string; until: string }[] = []
  let isPurged = true
  for (const { table, outcome } of await purgeTables(
    db,
    [...new Set([...ALWAYS_TOUCHED, ...tables])],
    filesMs,
  )) {
    if (outcome === 'kept') isPurged = false
    const text = REMAINS_IN_TABLE[outcome]
    if (text)
      list.push({ where: `Postgres, file of the table ${table}`, until: text.replace('TABLE', table) })
  }
  for (const { server, outcome, replicas } of location ? await rewriteFiles(location.url, filesMs) : []) {
    const where = server === undefined ? 'Redis' : `Redis ${server}`
    if (outcome !== 'rewritten') {
      isPurged = false
      list.push({ where: `${where}, files`, until: `they are rewritten (BGREWRITEAOF): ${outcome.failed}` })
    }
    if (replicas > 0)
      list.push({ where: `${where}, files of ${replicas} replicas`, until: 'they rewrite them' })
  }
  list.push({ where: "Postgres' write-ahead log", until: 'its segments are recycled' })
  const days = copies?.backupDays
  list.push({
    where: 'backups and other copies',
    until: days === undefined ? 'you delete them' : `${days} days after erasedAt`,
  })
  return { list, isPurged }
}

const REMAINS_IN_TABLE = {
  rewritten: undefined,
  vacuumed:
    'Postgres uses the free space of its pages again, the partition is dropped, or `vacuum full TABLE`',
  kept: 'Postgres has vacuumed it: a pooler, or a transaction that began before, did not allow it',
}
