import { withDeadline } from '../runtime/backoff.ts'
import { type Check, fail, ok, unusable } from '../runtime/check.ts'
import { mayFailOver, redisAddress } from '../runtime/redis-url.ts'
import { checkNode, nameOf } from './check-node.ts'
import type { Replication } from './check-replicas.ts'
import { checkShards, createShardMemory } from './check-shards.ts'
import { connected, findMasters, type Master, withRedis } from './nodes.ts'
import type { QueueLocation } from './producer.ts'
import { redisCause } from './refusal.ts'

/** Longer than a node that hangs keeps its own look. */
const LIMIT_MS = 8_000

/**
 * A look at the whole of Redis: each of its masters, and a job's round trip through each shard. It remembers from look to
 * look: whether somebody has emptied Redis, who had replicas, and whether a round trip went well the last time that there
 * was an answer.
 *
 * @returns what was found; a finding is `unusable` until a round trip has gone well, and after one that was not allowed
 */
export function createRedisCheck(
  location: QueueLocation & { acks?: 'auto' | number },
): () => Promise<Check[]> {
  const { url, acks = 'auto' } = location
  const failsOver = mayFailOver(redisAddress(url))
  const replication: Replication = { acks, failsOver, seen: new Set() }
  const memory = createShardMemory(location)
  return async () => {
    const found = await withDeadline(look(), LIMIT_MS, 'looking at Redis').catch(unanswered)
    return memory.isTrusted ? found : leftOut(found)
  }

  function look(): Promise<Check[]> {
    return withRedis(url, async (client) => {
      const masters = await findMasters(url, client)
      const [nodes, [shards]] = await Promise.all([
        Promise.all(masters.map(async (master) => sumUp(master, await checkNode(master, replication)))),
        Promise.allSettled([connected(client).then(() => checkShards(client, masters, memory))]),
      ])
      const found = nodes.flat()
      if (shards.status === 'fulfilled') return [...found, ...shards.value]
      // A node that cannot be used has told why.
      return found.some(({ level }) => level === 'fail') ? found : [...found, ...unanswered(shards.reason)]
    })
  }
}

function unanswered(error: unknown): Check[] {
  const { text, advice } = redisCause(error)
  return [fail('Redis', `cannot be used: ${text}`, advice)]
}

/** What is well with a node in one line, so that many nodes can be read. */
function sumUp(master: Master, checks: readonly Check[]): Check[] {
  const well = checks.filter(({ level }) => level === 'ok')
  const bad = checks.filter(({ level }) => level !== 'ok')
  if (!master.name || well.length === 0) return [...checks]
  return [ok(nameOf(master), well.map(({ text }) => text).join('; ')), ...bad]
}

function leftOut(found: readonly Check[]): Check[] {
  const [first, ...others] = [...found].sort(
    (a, b) => Number(b.level === 'fail') - Number(a.level === 'fail'),
  )
  if (first?.level === 'fail') return [unusable('Redis', first), ...others]
  const advice = 'Wait until it does: events take the inbox.'
  return [...found, unusable('Redis', fail('Redis', 'no job went through it yet', advice))]
}
