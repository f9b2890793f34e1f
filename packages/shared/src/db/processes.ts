import { randomUUID } from 'node:crypto'
import { withDeadline } from '../runtime/backoff.ts'
import { type Check, fail, ok, warn } from '../runtime/check.ts'
import { describeError } from '../runtime/errors.ts'
import { every } from '../runtime/every.ts'
import type { Log } from '../runtime/log.ts'
import { release } from '../runtime/release.ts'
import type { Connection, Db } from './pool.ts'

/** An ingest or a worker, as other processes see it. */
export type Process = {
  readonly id: string
  readonly app: 'ingest' | 'worker'
  /** Null if it uses the inbox alone. */
  readonly queuePrefix: string | null
  readonly queueShards: number | null
  /** The shards that a worker consumes. Null for an ingest, and for a worker that uses the inbox alone. */
  readonly shards: readonly number[] | null
}

/** The time between two signs of life. */
export const BEAT_MS = 5_000
const GONE_AFTER_MS = 60_000
const END_LIMIT_MS = 1_000

/**
 * @param queue the settings of this process. `consume` names the shards that a worker consumes; the default is all.
 */
export function describeProcess(
  app: 'ingest' | 'worker',
  queue: { prefix: string; shards: number; consume?: readonly number[] } | undefined,
): Process {
  const all = Array.from({ length: queue?.shards ?? 0 }, (_, shard) => shard)
  return {
    id: randomUUID(),
    app,
    queuePrefix: queue?.prefix ?? null,
    queueShards: queue?.shards ?? null,
    shards: app === 'worker' && queue ? (queue.consume ?? all) : null,
  }
}

/**
 * Announces this process to the others every 5 s, until it is disposed. It reports no failure, because the checks of
 * Postgres do.
 */
export function announceProcess(db: Db, self: Process, log: Log, everyMs = BEAT_MS): AsyncDisposable {
  const { id } = self
  const values = [id, self.app, release(), self.queuePrefix, self.queueShards, self.shards]
  const beating = every(everyMs, () => db.pool.query(BEAT, values), {
    onError: (error) => log.debug({ error: describeError(error) }, 'this process is not announced'),
  })
  async function leave(): Promise<void> {
    await beating[Symbol.asyncDispose]()
    await db.pool.query('delete from processes where id = $1', [id])
  }
  return {
    [Symbol.asyncDispose]: () =>
      withDeadline(leave(), END_LIMIT_MS, 'removing the row of this process').catch(() => {}),
  }
}

const BEAT = `with gone as (delete from processes where seen_at < now() - interval '1 day')
  insert into processes (id, app, release, queue_prefix, queue_shards, shards) values ($1, $2, $3, $4, $5, $6)
  on conflict (id) do update set seen_at = now()`

export type SeenProcess = Process & {
  readonly release: string
  readonly seenAt: Date
  /** How long it has given no sign of life, by Postgres' clock. */
  readonly silentMs: number
}

/** The processes that announced themselves within this time, the newest sign of life first. */
export async function seenProcesses(connection: Connection, withinMs: number): Promise<SeenProcess[]> {
  const { rows } = await connection.query<SeenProcess>(
    `select id, app, release, queue_prefix as "queuePrefix", queue_shards as "queueShards", shards, seen_at as "seenAt",
        date_part('epoch', now() - seen_at) * 1000 as "silentMs"
      from processes where seen_at > now() - $1::float8 * interval '1 millisecond' order by seen_at desc`,
    [withinMs],
  )
  return rows
}

/**
 * Checks that workers consume every queue and shard that an ingest fills. If Postgres or its schema is missing, the
 * result is empty: other checks say so.
 *
 * @param self the process that asks, announced or not. A person who asks is no process, and also learns whether a
 * worker runs at all.
 */
export async function checkProcesses(db: Db, self?: Process): Promise<Check[]> {
  const live = await seenProcesses(db.pool, GONE_AFTER_MS).catch(() => undefined)
  if (!live) return []
  if (!self && !live.some(isWorker))
    return [warn('Processes', 'no worker runs', 'Start one. Events wait until it lands them.')]
  const found = compareProcesses(self ? [...live, self] : live)
  return found.length > 0 || self ? found : [ok('Processes', describeAll(live))]
}

const isWorker = ({ app }: Process) => app === 'worker'

/** Finds settings that do not fit together, of processes that run at the same time. */
export function compareProcesses(live: readonly Process[]): Check[] {
  const workers = live.filter(isWorker)
  if (workers.length === 0) return []
  const prefixes = new Set(live.flatMap(({ queuePrefix }) => queuePrefix ?? []))
  return [...prefixes].flatMap((prefix) => {
    const members = live.filter(({ queuePrefix }) => queuePrefix === prefix)
    return checkQueue(prefix, members, workers)
  })
}

/** @param members the processes that use the queue of this prefix */
function checkQueue(prefix: string, members: readonly Process[], workers: readonly Process[]): Check[] {
  const consumers = members.filter(isWorker)
  const filled = Math.max(
    ...members.map(({ app, queueShards }) => (app === 'ingest' ? (queueShards ?? 0) : 0)),
  )
  if (filled > 0 && consumers.length === 0) {
    const others = unique(workers.map(({ queuePrefix }) => queuePrefix ?? 'the inbox alone'))
    const text = `no worker consumes the queue of an ingest, whose QUEUE_PREFIX is ${prefix}; that of the workers is ${others}`
    return [fail('Processes', text, 'Give all of them the same REDIS_URL and QUEUE_PREFIX.')]
  }
  const consumed = new Set(consumers.flatMap(({ shards }) => shards ?? []))
  const left = Array.from({ length: filled }, (_, shard) => shard).filter((shard) => !consumed.has(shard))
  const counts = (app: string) =>
    unique(members.flatMap((member) => (member.app === app ? (member.queueShards ?? []) : [])))
  const differ = new Set(members.map(({ queueShards }) => queueShards)).size > 1
  const settings = differ
    ? `QUEUE_SHARDS under QUEUE_PREFIX ${prefix} is ${counts('ingest') || 'not set'} for ingests and ${counts('worker')} for workers`
    : `of ${filled} shards under QUEUE_PREFIX ${prefix} workers consume ${unique([...consumed])}`
  if (left.length > 0) {
    const text = `${settings}: no worker consumes shard ${unique(left)}`
    return [
      fail(
        'Processes',
        text,
        'Give all processes the same QUEUE_SHARDS, and each shard a worker (WORKER_SHARDS).',
      ),
    ]
  }
  return differ ? [warn('Processes', settings, 'Give all of them the same QUEUE_SHARDS.')] : []
}

function unique(values: readonly (string | number)[]): string {
  const words = [...new Set(values)].map(String)
  return words.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).join(', ')
}

function describeAll(live: readonly Process[]): string {
  const count = (name: string) => live.filter(({ app }) => app === name).length
  return `ingests ${count('ingest')}, workers ${count('worker')}: each queue that is filled has a worker`
}
