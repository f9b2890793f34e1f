import { withDeadline } from '../runtime/backoff.ts'
import { type Check, fail, ok, unusable } from '../runtime/check.ts'
import { mayFailOver, redisAddress } from '../runtime/redis-url.ts'
import { checkNode, nameOf } from './check-node.ts'
import type { Replication } from './check-replicas.ts'
import { checkShards, createShardMemory } from './check-shards.ts'
import { createGrowth } from './growth.ts'
import { connected, findMasters, type Master, withRedis } from './nodes.ts'
import type { QueueLocation } from './producer.ts'
import { redisCause } from './refusal.ts'

/** Longer than the limit for a node that hangs. */
const LIMIT_MS = 8_000

/**
 * Checks all masters of Redis, and sends a trial job through each shard. From one check to the next it remembers the
 * canaries, the masters that had replicas, and whether the last trial jobs came back.
 *
 * @returns the findings; one of them is `unusable` until a trial job has come back, and after one that was not allowed
 * to
 */
export function createRedisCheck(
  location: QueueLocation & { acks?: 'auto' | number },
): () => Promise<Check[]> {
  const { url, acks = 'auto' } = location
  const failsOver = mayFailOver(redisAddress(url))
  const replication: Replication = { acks, failsOver, seen: new Set() }
  const memory = createShardMemory(location)
  const growth = createGrowth()
  return async () => {
    const found = await withDeadline(look(), LIMIT_MS, 'looking at Redis').catch(noAnswer)
    return memory.isTrusted ? found : withUnusable(found)
  }

  function look(): Promise<Check[]> {
    return withRedis(url, async (client) => {
      const masters = await findMasters(url, client)
      const [nodes, [shards]] = await Promise.all([
        Promise.all(
          masters.map(async (master) => inOneLine(master, await checkNode(master, replication, growth))),
        ),
        Promise.allSettled([connected(client).then(() => checkShards(client, masters, memory))]),
      ])
      const found = nodes.flat()
      if (shards.status === 'fulfilled') return [...found, ...shards.value]
      // There is a finding for a node that cannot be used.
      return found.some(({ level }) => level === 'fail') ? found : [...found, ...noAnswer(shards.reason)]
    })
  }
}

function noAnswer(error: unknown): Check[] {
  const { text, advice } = redisCause(error)
  return [fail('Redis', `cannot be used: ${text}`, advice)]
}

/** Puts the good findings about one of several nodes into one line. */
function inOneLine(master: Master, checks: readonly Check[]): Check[] {
  const well = checks.filter(({ level }) => level === 'ok')
  const bad = checks.filter(({ level }) => level !== 'ok')
  if (!master.name || well.length === 0) return [...checks]
  return [ok(nameOf(master), well.map(({ text }) => text).join('; ')), ...bad]
}

function withUnusable(found: readonly Check[]): Check[] {
  const [first, ...others] = [...found].sort(
    (a, b) => Number(b.level === 'fail') - Number(a.level === 'fail'),
  )
  if (first?.level === 'fail') return [unusable('Redis', first), ...others]
  const advice = 'Wait until it does: events take the inbox.'
  return [...found, unusable('Redis', fail('Redis', 'no job went through it yet', advice))]
}
