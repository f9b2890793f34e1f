import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createRedisCluster } from '@sluice/testkit/redis-cluster'
import { candidate, fill, startWorker } from '../candidates.ts'
import { newTag } from '../load.ts'
import { cpuSeconds, median, treeCpuSeconds } from '../machine.ts'
import type { World } from '../world.ts'
import { landedPerSecond } from './landing.ts'

/** Landing from a Redis Cluster, with one worker for each shard and each shard on a master of its own. */
export type Shards = {
  readonly shards: number
  readonly perSecond: number
  /** CPU of workers, Redis and Postgres per event, µs, while the last two thirds of the backlog land. */
  readonly cpuMicros: number
}

const EVENTS = 30_000
const SKIPPED = EVENTS / 3
const ROUNDS = 3
const LIMIT_MS = 120_000
/** `{bench-0}` and `{bench-1}` belong to different masters if there are three. */
const MASTERS = 3

export async function measureShards(world: World, report: (line: string) => void): Promise<Shards[]> {
  await using cluster = await createRedisCluster(join(world.dir, 'cluster'), { masters: MASTERS })
  const of = async (shards: number): Promise<Shards> => {
    const env = { ...world.env, REDIS_URL: cluster.url, QUEUE_SHARDS: String(shards) }
    const sharded = { ...world, env }
    await world.clear()
    const tag = newTag()
    await fill(candidate('S'), sharded, EVENTS, tag)
    await world.settle()
    await using stack = new AsyncDisposableStack()
    const workers = await Promise.all(
      Array.from({ length: shards }, (_, shard) =>
        startWorker(candidate('S'), { ...world, env: { ...env, WORKER_SHARDS: String(shard) } }),
      ),
    )
    for (const worker of workers) stack.use(worker)
    const used = () =>
      [...workers.map(({ pid }) => pid), ...cluster.nodes.map((node) => node.pid())].reduce(
        (sum, pid) => sum + cpuSeconds(pid),
        treeCpuSeconds(world.postgres.pids()),
      )
    const first = await landedAtLeast(world, SKIPPED)
    const before = used()
    await landedAtLeast(world, EVENTS)
    const cpu = used() - before
    const perSecond = await landedPerSecond(candidate('S'), world, tag, EVENTS)
    return { shards, perSecond, cpuMicros: (cpu * 1e6) / (EVENTS - first) }
  }
  const all: Shards[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    for (const shards of [1, 2]) {
      report(`shards: ${shards}, round ${round}`)
      all.push(await of(shards))
    }
  }
  return [1, 2].map((shards) => {
    const own = all.filter((each) => each.shards === shards)
    return {
      shards,
      perSecond: median(own.map(({ perSecond }) => perSecond)),
      cpuMicros: median(own.map(({ cpuMicros }) => cpuMicros)),
    }
  })
}

/** @returns how many have landed when it is seen */
async function landedAtLeast({ db }: World, count: number): Promise<number> {
  for (const limit = Date.now() + LIMIT_MS; Date.now() < limit; await pause(100)) {
    const { rows } = await db.pool.query<{ landed: number }>('select count(*)::int as landed from event_keys')
    const landed = rows[0]?.landed ?? 0
    if (landed >= count) return landed
  }
  throw new Error(`${count} events have not landed`)
}
