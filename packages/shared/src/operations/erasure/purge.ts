import { type Db, listPartitions, nameInSql, purgeTables, STATISTICS } from '../../db/index.ts'
import { rewriteFiles } from '../../queue/index.ts'
import type { Stores } from '../stores.ts'
import type { Receipt } from './receipt.ts'

/** What Sluice cannot reach or did not do, and whether the files of the stores are written anew. */
export type Remains = { readonly list: Receipt['remains']; readonly isPurged: boolean }

/** An event is tried for so long, and redelivered within it. */
const NEWEST_MS = 86_400_000
const ALWAYS_TOUCHED = ['journeys', 'former_references', 'lost_journeys', 'dead_letters', 'inbox', 'refusals']

/**
 * Has the stores write their files anew.
 *
 * @param tables whose rows were deleted
 * @param options.filesMs how long a store may take
 * @param options.everySize tables of any size are rewritten
 */
export async function purge(
  { db, location, copies }: Stores,
  tables: readonly string[],
  { filesMs, everySize = false }: { filesMs: number; everySize?: boolean | undefined },
): Promise<Remains> {
  const list: { where: string; until: string }[] = []
  let isPurged = true
  const all = new Set([...ALWAYS_TOUCHED, ...(await newestPartitions(db)), ...tables])
  for (const { table, outcome } of await purgeTables(db, [...all], { limitMs: filesMs, everySize })) {
    if (outcome !== 'rewritten' && table !== STATISTICS) isPurged = false
    const text = REMAINS_IN_TABLE[outcome]
    if (text)
      list.push({ where: `Postgres, file of the table ${table}`, until: text.replace('TABLE', table) })
  }
  for (const { server, outcome, replicas } of location ? await rewriteFiles(location.url, filesMs) : []) {
    const where = server === undefined ? 'Redis' : `Redis ${server}`
    if (outcome !== 'rewritten') {
      isPurged = false
      list.push({ where: `${where}, files`, until: `${REWRITTEN}: ${outcome.failed}` })
    }
    if (replicas > 0)
      list.push({ where: `${where}, files of ${replicas} replicas`, until: 'they rewrite them' })
  }
  list.push({ where: "Postgres' write-ahead log", until: 'its segments are recycled' })
  list.push({
    where: "Postgres' queue of notifications (pg_notify)",
    until: 'it is used again, or Postgres restarts',
  })
  const days = copies?.backupDays
  list.push({
    where: "backups, Postgres' log, and other copies",
    until: days === undefined ? 'you delete them' : `${days} days after erasedAt`,
  })
  return { list, isPurged }
}

/** A landing that failed leaves its rows in the pages of the partition, although no query ever found them. */
async function newestPartitions({ pool }: Db): Promise<string[]> {
  const now = Date.now()
  const partitions = await listPartitions(pool)
  return partitions
    .filter(({ since, until }) => (since?.getTime() ?? 0) <= now && until.getTime() > now - NEWEST_MS)
    .map(({ name }) => nameInSql(name))
}

const REMAINS_IN_TABLE = {
  rewritten: undefined,
  vacuumed:
    'Postgres uses the free space of its pages again, the partition is dropped, or `--rewrite` or `vacuum full TABLE`',
  busy: 'it is rewritten: others held it whenever that was tried',
  kept: 'Postgres has vacuumed it: a pooler, or a transaction that began before, did not allow it',
}
const REWRITTEN = 'they are rewritten (BGREWRITEAOF)'

/** Whether something was in the way of writing files anew, so that the same command may do it later. */
export function isHeldUp({ remains }: Receipt): boolean {
  const { busy, kept } = REMAINS_IN_TABLE
  return remains.some(({ until }) => [busy, kept].includes(until) || until.startsWith(REWRITTEN))
}
