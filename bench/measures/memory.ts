import { setTimeout as pause } from 'node:timers/promises'
import { createQueueAdmin } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { candidate, fill, startIngest, startWorker } from '../candidates.ts'
import { newTag } from '../load.ts'
import { median, residentMegabytes } from '../machine.ts'
import type { World } from '../world.ts'

/** The size of an event in Redis, bytes. Its body has about 200. A finished job stays for an hour without its body. */
export type RedisBytes = { readonly id: string; readonly waiting: number; readonly finished: number }

const log = createLog('bench', 'silent')

export async function measureRedisBytes(world: World, id: string, count: number): Promise<RedisBytes> {
  await world.clear()
  const tested = candidate(id)
  const empty = await usedMemory(world)
  await fill(tested, world, count, newTag())
  await pause(500)
  const waiting = (await usedMemory(world)) - empty
  await using _worker = await startWorker(tested, world)
  while (((await tested.waiting?.(world)) ?? 0) > 0) await pause(100)
  await pause(3_000)
  if (id === 'S') {
    await using admin = createQueueAdmin({ url: world.redis.url, prefix: 'bench', shards: 1 }, log)
    await admin.ready(3_000)
    await admin.stripBodies(0)
  }
  const finished = (await usedMemory(world)) - empty
  return { id, waiting: waiting / count, finished: finished / count }
}

async function usedMemory({ redis }: World): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(String(await redis.command('INFO', 'memory')))?.[1])
}

/** The effect of a long backlog on the answers, and on the memory of ingest and worker. */
export type Backlog = {
  readonly id: string
  readonly waiting: number
  /**
   * Answers a second at saturation, as a ratio to the bare server; and that ratio as a part of the one without a
   * backlog, which is measured before and afterwards. Medians of the rounds.
   */
  readonly ratio: number
  /** The most memory, MB, while the worker lands the backlog and new events are received. */
  readonly ingestMemory: number
  readonly workerMemory: number
}

export async function measureBacklog(
  world: World,
  id: string,
  { waiting, rounds, seconds }: { waiting: number; rounds: number; seconds: number },
): Promise<Backlog> {
  const tested = candidate(id)
  await world.clear()
  const ratios = { none: [] as number[], long: [] as number[] }
  const measure = async (into: number[]) => {
    await using bare = await startIngest(candidate('A'), world)
    await using ingest = await startIngest(tested, world)
    for (const { port } of [bare, ingest]) await world.send(port, { seconds: 1 })
    for (let round = 0; round < rounds; round++) {
      const bareAnswers = await world.send(bare.port, { seconds })
      into.push((await world.send(ingest.port, { seconds })).perSecond / bareAnswers.perSecond)
    }
  }
  await measure(ratios.none)
  await world.clear()
  await fill(tested, world, waiting, newTag())
  await world.settle()
  // As many rounds as without a backlog: single rounds differ by a sixth.
  await measure(ratios.long)
  await measure(ratios.long)
  const memory = await measureMemory(world, id)
  // Once more, because a machine changes its speed.
  await world.clear()
  await measure(ratios.none)
  return { id, waiting, ratio: median(ratios.long) / median(ratios.none), ...memory }
}

async function measureMemory(world: World, id: string) {
  await using ingest = await startIngest(candidate(id), world)
  await using worker = await startWorker(candidate(id), world)
  const sending = world.send(ingest.port, { rate: 500, seconds: 20 })
  let ingestMemory = 0
  let workerMemory = 0
  for (const limit = Date.now() + 20_000; Date.now() < limit; await pause(250)) {
    ingestMemory = Math.max(ingestMemory, residentMegabytes(ingest.pid))
    workerMemory = Math.max(workerMemory, residentMegabytes(worker.pid))
  }
  await sending
  return { ingestMemory, workerMemory }
}
