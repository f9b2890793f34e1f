import { queueKeys, shardPrefix } from '@sluice/shared/queue'
import { type Running, run } from '@sluice/testkit/process'
import type { World } from './world.ts'

/** A way to receive webhooks, as processes of its own. */
export type Candidate = {
  readonly id: string
  readonly name: string
  /** File and arguments. */
  readonly ingest?: readonly [string, ...string[]]
  readonly worker?: readonly [string, ...string[]]
  /** Puts `count` events of a run in front of its worker: gets count and tag as further arguments. */
  readonly fill?: readonly [string, ...string[]]
  /** Settings that are not set for it. */
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
  ingest: ['apps/ingest/src/main.ts'],
  worker: ['apps/worker/src/main.ts'],
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
  { id: 'S', name: 'Sluice on Redis', ...sluice, waiting: lists(queueKeys(shardPrefix('bench', 0)).queue) },
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

export type Started = AsyncDisposable & { readonly pid: number }

/** Starts its ingest, and resolves when it listens. */
export async function startIngest(
  { id, ingest, without }: Candidate,
  world: World,
): Promise<Started & { readonly port: number }> {
  if (!ingest) throw new Error(`${id} has no ingest`)
  const running = launch(ingest[0], ingest.slice(1), settings(world, without))
  const [, ready, listens] = await running.printed(/"port":(\d+)[^\n]*"ingest listens"|listens on (\d+)/)
  return { pid: running.pid, port: Number(ready ?? listens), [Symbol.asyncDispose]: () => end(running) }
}

/** Starts its worker, and resolves when it takes events. */
export async function startWorker(
  { id, worker, workerOptions = '', without }: Candidate,
  world: World,
): Promise<Started> {
  if (!worker) throw new Error(`${id} has no worker`)
  const running = launch(worker[0], worker.slice(1), {
    ...settings(world, without),
    NODE_OPTIONS: workerOptions,
  })
  await running.printed(/worker takes events|works/)
  return { pid: running.pid, [Symbol.asyncDispose]: () => end(running) }
}

/** Puts events in front of its worker, which must not run. */
export async function fill(
  { id, fill, without }: Candidate,
  world: World,
  count: number,
  tag: string,
): Promise<void> {
  if (!fill) throw new Error(`${id} cannot be filled`)
  await using running = launch(fill[0], [...fill.slice(1), String(count), tag], settings(world, without))
  const code = await running.exited
  if (code !== 0) throw new Error(`filling ${id} ended with ${code}: ${running.output()}`)
}

function settings(world: World, without: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(Object.entries(world.env).filter(([name]) => !without.includes(name)))
}

/** A process that an interrupt of this one does not leave behind. */
function launch(file: string, args: readonly string[], env: Record<string, string>): Running {
  const running = run(file, args, env)
  const kill = () => running.kill('SIGKILL')
  process.once('exit', kill)
  void running.exited.then(() => process.off('exit', kill))
  return running
}

/** By SIGTERM, so that nothing is left for the next one; a peer that does not react is killed. */
async function end(running: Running): Promise<void> {
  running.kill('SIGTERM')
  const timer = setTimeout(() => running.kill('SIGKILL'), 3_000)
  await running.exited
  clearTimeout(timer)
}
