import { randomUUID } from 'node:crypto'
import { withDeadline } from '../runtime/backoff.ts'
import { type Check, fail, ok, warn } from '../runtime/check.ts'
import { describeError } from '../runtime/errors.ts'
import { every } from '../runtime/every.ts'
import type { Log } from '../runtime/log.ts'
import { release } from '../runtime/release.ts'
import type { Db } from './pool.ts'

/** An ingest or a worker, as the others see it. */
export type Process = {
  readonly app: 'ingest' | 'worker'
  /** Null where it uses the inbox alone. */
  readonly queuePrefix: string | null
  readonly queueShards: number | null
  /** The shards that a worker takes; null for an ingest, and for a worker of the inbox alone. */
  readonly shards: readonly number[] | null
}

const BEAT_MS = 10_000
const GONE_AFTER_SECONDS = 60
const END_LIMIT_MS = 1_000

/**
 * @param queue the setting of this process; `consume` names the shards that a worker takes, all by default
 */
export function describeProcess(
  app: 'ingest' | 'worker',
  queue: { prefix: string; shards: number; consume?: readonly number[] } | undefined,
): Process {
  const all = Array.from({ length: queue?.shards ?? 0 }, (_, shard) => shard)
  return {
    app,
    queuePrefix: queue?.prefix ?? null,
    queueShards: queue?.shards ?? null,
    shards: app === 'worker' && queue ? (queue.consume ?? all) : null,
  }
}

/**
 * Tells the other processes of this one, every 10 s, until it is disposed. While Postgres is away it keeps silent: the
 * checks of Postgres say so.
 */
export function announceProcess(db: Db, self: Process, log: Log, everyMs = BEAT_MS): AsyncDisposable {
  const id = randomUUID()
  const values = [id, self.app, release(), self.queuePrefix, self.queueShards, self.shards]
  const beating = every(everyMs, () => db.pool.query(BEAT, values), {
    onError: (error) => log.debug({ error: describeError(error) }, 'this process is not announced'),
  })
  async function leave(): Promise<void> {
    await beating[Symbol.asyncDispose]()
    await db.pool.query('delete from processes where id = $1', [id])
  }
  return {
    [Symbol.asyncDispose]: () => withDeadline(leave(), END_LIMIT_MS, 'taking leave').catch(() => {}),
  }
}

const BEAT = `with gone as (delete from processes where seen_at < now() - interval '1 day')
  insert into processes (id, app, release, queue_prefix, queue_shards, shards) values ($1, $2, $3, $4, $5, $6)
  on conflict (id) do update set seen_at = now()`

/** The processes that were seen within the last minute. */
export async function liveProcesses(db: Db): Promise<Process[]> {
  const { rows } = await db.pool.query(
    `select app, queue_prefix as "queuePrefix", queue_shards as "queueShards", shards from processes
      where seen_at > now() - $1 * interval '1 second'`,
    [GONE_AFTER_SECONDS],
  )
  return rows
}

/**
 * Whether what the ingests put into queues is taken by workers. Empty where Postgres or its schema is not there, which
 * other checks say.
 *
 * @param self who asks, known to the others or not yet; undefined: somebody who wants to know whether a worker runs
 */
export async function checkProcesses(db: Db, self?: Process): Promise<Check[]> {
  const live = await liveProcesses(db).catch(() => undefined)
  if (!live) return []
  if (!self && !live.some(isWorker))
    return [warn('Processes', 'no worker runs', 'Start one: events wait until it lands them.')]
  const found = judgeProcesses(self ? [...live, self] : live)
  return found.length > 0 || self ? found : [ok('Processes', inWords(live))]
}

const isWorker = ({ app }: Process) => app === 'worker'

/** What does not fit together, of processes that run at the same time. */
export function judgeProcesses(live: readonly Process[]): Check[] {
  const workers = live.filter(isWorker)
  if (workers.length === 0) return []
  const prefixes = new Set(live.flatMap(({ queuePrefix }) => queuePrefix ?? []))
  return [...prefixes].flatMap((prefix) => {
    const members = live.filter(({ queuePrefix }) => queuePrefix === prefix)
    return judgeQueue(prefix, members, workers)
  })
}

/** @param members the processes that use the queue of this prefix */
function judgeQueue(prefix: string, members: readonly Process[], workers: readonly Process[]): Check[] {
  const takers = members.filter(isWorker)
  const filled = Math.max(
    ...members.map(({ app, queueShards }) => (app === 'ingest' ? (queueShards ?? 0) : 0)),
  )
  if (filled > 0 && takers.length === 0) {
    const others = unique(workers.map(({ queuePrefix }) => queuePrefix ?? 'the inbox alone'))
    const text = `no worker takes the queue of an ingest: QUEUE_PREFIX is ${prefix} there, and of the workers ${others}`
    return [fail('Processes', text, 'Give all of them the same REDIS_URL and QUEUE_PREFIX.')]
  }
  const taken = new Set(takers.flatMap(({ shards }) => shards ?? []))
  const left = Array.from({ length: filled }, (_, shard) => shard).filter((shard) => !taken.has(shard))
  const counts = (app: string) =>
    unique(members.flatMap((member) => (member.app === app ? (member.queueShards ?? []) : [])))
  const differ = new Set(members.map(({ queueShards }) => queueShards)).size > 1
  const settings = differ
    ? `QUEUE_SHARDS under QUEUE_PREFIX ${prefix} is ${counts('ingest') || 'not set'} of ingests and ${counts('worker')} of workers`
    : `of ${filled} shards under QUEUE_PREFIX ${prefix} workers take ${unique([...taken])}`
  if (left.length > 0) {
    const text = `${settings}: nobody takes shard ${unique(left)}`
    return [
      fail('Processes', text, 'Give all the same QUEUE_SHARDS, and each shard a worker (WORKER_SHARDS).'),
    ]
  }
  return differ ? [warn('Processes', settings, 'Give all of them the same QUEUE_SHARDS.')] : []
}

function unique(values: readonly (string | number)[]): string {
  const words = [...new Set(values)].map(String)
  return words.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).join(', ')
}

function inWords(live: readonly Process[]): string {
  const count = (name: string) => live.filter(({ app }) => app === name).length
  return `ingests ${count('ingest')}, workers ${count('worker')}: each queue that is filled is taken from`
}
