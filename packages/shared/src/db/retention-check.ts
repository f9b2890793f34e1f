import { type Check, fail, ok, warn } from '../runtime/check.ts'
import { listPartitions, type Partition } from './partitions.ts'
import type { Connection, Db } from './pool.ts'
import { behindMs } from './retention-plan.ts'
import { describeTerms, mustBeAccepted, readRetention } from './retention-state.ts'

const DAY_MS = 86_400_000
const MIN_AHEAD_DAYS = 3
const MAX_BEHIND_DAYS = 2

/** Until when events have a partition without a gap, from a time on; the time itself if it has none. */
export function coveredUntil(partitions: readonly Partition[], from: Date): Date {
  let until = from
  for (const partition of partitions) {
    if ((partition.since ?? until) <= until && partition.until > until) until = partition.until
  }
  return until
}

/** Checks that events have a partition to land in, now and in the next days. */
export async function checkPartitions(connection: Connection): Promise<Check[]> {
  const { rows } = await connection.query<{ now: Date; default: string | null }>(
    `select now(), (select relname from pg_inherits join pg_class c on c.oid = inhrelid
      where inhparent = to_regclass('events') and pg_get_expr(relpartbound, c.oid) = 'DEFAULT') as default`,
  )
  const { now, default: other } = rows[0] as { now: Date; default: string | null }
  const partitions = await listPartitions(connection)
  const until = coveredUntil(partitions, now)
  const days = Math.floor((until.getTime() - now.getTime()) / DAY_MS)
  const found = other
    ? [
        warn(
          'Partitions',
          `${other} is a DEFAULT partition of events, beside which none can be dropped while events land`,
          `Move its rows away and drop it.`,
        ),
      ]
    : []
  if (until <= now) return [...found, fail('Partitions', noPartition(now), MAKE_THEM)]
  const text = `${partitions.length}, made until ${until.toISOString().slice(0, 10)} (${days} days ahead)`
  return [...found, days < MIN_AHEAD_DAYS ? warn('Partitions', text, MAKE_THEM) : ok('Partitions', text)]
}

const MAKE_THEM = 'Run `npx sluice retention partitions`. A scheduler makes them ahead; is one running?'

function noPartition(now: Date): string {
  return `no partition for now: no event can land at ${now.toISOString().slice(0, 16)}Z`
}

/**
 * Checks whether an operator has to accept terms, and whether what is older than its term goes. If Postgres or its
 * schema is missing, the result is empty: other checks say so.
 */
export async function checkRetention({ pool }: Db): Promise<Check[]> {
  const state = await readRetention(pool).catch(() => undefined)
  if (!state) return []
  const { announced, announcedAt, accepted } = state
  const checks: Check[] = []
  if (announced && mustBeAccepted(state)) {
    const at = announcedAt?.toISOString().slice(0, 10)
    const text = `announced on ${at} and not accepted: ${describeTerms(announced)}`
    checks.push(
      warn(
        'Retention',
        text,
        '`npx sluice retention` shows what would go; `npx sluice retention accept` lets it go.',
      ),
    )
  }
  const behindDays = Math.floor(behindMs(state, await listPartitions(pool)) / DAY_MS)
  if (behindDays > MAX_BEHIND_DAYS)
    checks.push(
      warn(
        'Retention',
        `events are kept ${behindDays} days longer than the term`,
        'The log of the scheduler says why. A transaction that stays open also keeps a partition.',
      ),
    )
  if (checks.length > 0) return checks
  return [ok('Retention', accepted ? describeTerms(accepted) : 'off: everything is kept')]
}
