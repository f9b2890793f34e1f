import { join } from 'node:path'
import { eventually } from '@sluice/testkit/eventually'
import { startProxy } from '@sluice/testkit/proxy'
import { createRedisServer } from '@sluice/testkit/redis-server'
import { candidate, startIngest } from '../candidates.ts'
import { failed } from '../load.ts'
import { median } from '../machine.ts'
import type { World } from '../world.ts'

/** The time of an answer that waits for a replica, and of one that does not, ms at 1,000 events a second. Medians. */
export type ReplicaCost = {
  readonly alone: { readonly p50: number; readonly p99: number }
  readonly acknowledged: { readonly p50: number; readonly p99: number }
}

const RATE = 1_000
const SECONDS = 4
/** Between Redis and its replica, each way. */
const DISTANCE_MS = 1

/** Measures an ingest that does not wait for the replica and one that does, in turn, on the same Redis. */
export async function measureReplica(world: World, rounds: number): Promise<ReplicaCost> {
  await using line = await startProxy(() => world.redis.port)
  await using replica = await createRedisServer({ dir: join(world.redis.dir, '../replica') })
  await replica.command('REPLICAOF', '127.0.0.1', line.port)
  await line.set({ kind: 'latency', ms: DISTANCE_MS, jitterMs: 0 })
  const isLinked = async () =>
    /master_link_status:up/.test(String(await replica.command('INFO', 'replication')))
  await eventually(isLinked)
  const start = (acks: string) =>
    startIngest(candidate('S'), { ...world, env: { ...world.env, REDIS_ACKS: acks } })
  await using alone = await start('0')
  await using acknowledged = await start('1')
  const measured = { alone: [], acknowledged: [] } as { [Way in keyof ReplicaCost]: ReplicaCost[Way][] }
  for (let round = 0; round < rounds; round++) {
    await world.settle()
    for (const [way, { port }] of [
      ['alone', alone],
      ['acknowledged', acknowledged],
    ] as const) {
      const sent = await world.send(port, { seconds: SECONDS, rate: RATE })
      if (failed(sent) > 0) throw new Error(`answers other than 200: ${JSON.stringify(sent)}`)
      measured[way].push(sent)
    }
  }
  const medians = (way: keyof ReplicaCost) => ({
    p50: median(measured[way].map(({ p50 }) => p50)),
    p99: median(measured[way].map(({ p99 }) => p99)),
  })
  return { alone: medians('alone'), acknowledged: medians('acknowledged') }
}
