import { queueKeys, shardPrefix } from '@sluice/shared/queue'
import { PROGRAMS, type Running, run, SERVES } from '@sluice/testkit/process'
import { QUEUE_PREFIX, type World } from './world.ts'

/** A way to receive webhooks: an ingest and a worker, each a process. */
export type Candidate = {
  readonly id: string
  readonly name: string
  /** File and arguments. */
  readonly ingest?: readonly [string, ...string[]]
  readonly worker?: readonly [string, ...string[]]
  /** Puts events in front of its worker. Their count and their tag are added to the arguments. */
  readonly fill?: readonly [string, ...string[]]
  /** The settings that it must not have. */
  readonly without?: readonly string[]
  /** Options of Node.js for its worker. */
  readonly workerOptions?: string
  /** How many events wait for its worker. */
  waiting?(world: World): Promise<number>
  /** The table where its events land. */
  readonly table: 'events' | 'bench_events'
}

const lists =
  (prefix: string) =>
  async ({ redis }: World) => {
    const counts = await Promise.all([
      redis.command('LLEN', `${prefix}wait`),
      redis.command('LLEN', `${prefix}active`),
      redis.command('ZCARD', `${prefix}delayed`),
    ])
    return counts.reduce<number>((sum, count) => sum + Number(count), 0)
  }
const rows =
  (sql: string) =>
  async ({ db }: World) =>
    Number((await db.pool.query(sql)).rows[0].count)

const TEXTBOOK = 'bench/peers/bullmq.ts'
const textbook = {
  fill: [TEXTBOOK, 'fill'],
  waiting: lists('bull:textbook:'),
  table: 'bench_events',
} as const
const boss = {
  fill: ['bench/peers/pg-boss.ts', 'fill'],
  waiting: rows(`select count(*) from pgboss.job where state < 'completed'`),
  table: 'bench_events',
} as const
const sluice = {
  ingest: [PROGRAMS.ingest],
  worker: [PROGRAMS.worker],
  fill: ['bench/peers/sluice.ts', 'fill'],
  table: 'events',
  // As docker-compose.yml runs it.
  workerOptions: '--max-semi-space-size=8',
} as const

const ALL: readonly Candidate[] = [
  { id: 'A', name: 'bare Fastify, stores nothing', ingest: ['bench/peers/bare.ts'], table: 'bench_events' },
  {
    id: 'A2',
    name: 'the same, answers released together',
    ingest: ['bench/peers/bare.ts', 'batched'],
    table: 'bench_events',
  },
  {
    id: 'B',
    name: 'Fastify, an INSERT per request',
    ingest: ['bench/peers/insert.ts'],
    table: 'bench_events',
    waiting: async () => 0,
  },
  {
    id: 'C',
    name: 'textbook: queue.add per request, an INSERT per job',
    ingest: [TEXTBOOK, 'ingest'],
    worker: [TEXTBOOK, 'worker'],
    ...textbook,
  },
  { id: 'N', name: 'BullMQ worker that does nothing', worker: [TEXTBOOK, 'noop'], ...textbook },
  {
    id: 'D',
    name: 'pg-boss, batches of 100, an INSERT per job',
    ingest: ['bench/peers/pg-boss.ts', 'ingest'],
    worker: ['bench/peers/pg-boss.ts', 'worker'],
    ...boss,
  },
  {
    id: 'D2',
    name: 'pg-boss, batches of 500 in one INSERT',
    worker: ['bench/peers/pg-boss.ts', 'batched'],
    ...boss,
  },
  {
    id: 'E',
    name: 'graphile-worker, an INSERT per job',
    ingest: ['bench/peers/graphile-worker.ts', 'ingest'],
    worker: ['bench/peers/graphile-worker.ts', 'worker'],
    fill: ['bench/peers/graphile-worker.ts', 'fill'],
    waiting: rows('select count(*) from graphile_worker._private_jobs'),
    table: 'bench_events',
  },
  {
    id: 'S',
    name: 'Sluice on Redis',
    ...sluice,
    waiting: lists(queueKeys(shardPrefix(QUEUE_PREFIX, 0)).queue),
  },
  {
    id: 'P',
    name: 'Sluice on the inbox alone',
    ...sluice,
    without: ['REDIS_URL'],
    waiting: rows('select count(*) from inbox'),
  },
]

export function candidate(id: string): Candidate {
  const found = ALL.find((each) => each.id === id)
  if (!found) throw new Error(`no candidate ${id}`)
  return found
}

export const NAMES: readonly (readonly [string, string])[] = ALL.map(({ id, name }) => [id, name] as const)

/** What an ingest and a worker print when they are ready: Sluice's, or a peer's. */
const LISTENS = new RegExp(`${SERVES.ingest.source}|listens on (\\d+)`)
const WORKS = new RegExp(`${SERVES.worker.source}|works`)

export type Started = AsyncDisposable & { readonly pid: number }

/** Resolves when its ingest listens. */
export async function startIngest(
  { id, ingest, without }: Candidate,
  world: World,
): Promise<Started & { readonly port: number }> {
  if (!ingest) throw new Error(`${id} has no ingest`)
  const running = run(ingest[0], ingest.slice(1), settings(world, without))
  const [, ready, listens] = await running.printed(LISTENS)
  return { pid: running.pid, port: Number(ready ?? listens), [Symbol.asyncDispose]: () => end(running) }
}

/** Resolves when its worker claims events. */
export async function startWorker(
  { id, worker, workerOptions = '', without }: Candidate,
  world: World,
): Promise<Started> {
  if (!worker) throw new Error(`${id} has no worker`)
  const running = run(worker[0], worker.slice(1), {
    ...settings(world, without),
    NODE_OPTIONS: workerOptions,
  })
  await running.printed(WORKS)
  return { pid: running.pid, [Symbol.asyncDispose]: () => end(running) }
}

/** Puts events in front of its worker, which must not run meanwhile. */
export async function fill(
  { id, fill, without }: Candidate,
  world: World,
  count: number,
  tag: string,
): Promise<void> {
  if (!fill) throw new Error(`${id} cannot be filled`)
  await using running = run(fill[0], [...fill.slice(1), String(count), tag], settings(world, without))
  const code = await running.exited
  if (code !== 0) throw new Error(`filling ${id} ended with ${code}: ${running.output()}`)
}

function settings(world: World, without: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(Object.entries(world.env).filter(([name]) => !without.includes(name)))
}

/** Lets it finish, so that it leaves nothing for the next one. */
const end = (running: Running) => running.stop(3_000)
