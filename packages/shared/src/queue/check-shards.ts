import { randomUUID } from 'node:crypto'
import { alerting, type Check, fail, ok, warn } from '../runtime/check.ts'
import { describeError } from '../runtime/errors.ts'
import { queueKeys, shardPrefix } from './bullmq/keys.ts'
import type { RedisClient } from './connection.ts'
import type { Master } from './nodes.ts'
import { missingRights } from './permissions.ts'
import { tryQueue } from './trial.ts'

/** What one check of the shards leaves for the next. */
export type ShardMemory = {
  readonly prefixes: readonly string[]
  /** The last canary that was seen, by the shard's prefix. */
  readonly canaries: Map<string, string>
  /** Whether the last trial jobs came back from all shards that answered. */
  isTrusted: boolean
}

export function createShardMemory({ prefix, shards }: { prefix: string; shards: number }): ShardMemory {
  const prefixes = Array.from({ length: shards }, (_, shard) => shardPrefix(prefix, shard))
  return { prefixes, canaries: new Map(), isTrusted: false }
}

type Counts = { waiting: number; delayed: number; failed: number }
/** Each is undefined if Redis has not answered. */
type Shard = {
  trial: { refused: string | undefined } | undefined
  isEmptied: boolean | undefined
  counts: Counts | undefined
}

/** Sends a job through each shard, looks for its canary, and counts its jobs. It skips a shard that does not answer. */
export async function checkShards(
  client: RedisClient,
  masters: readonly Master[],
  memory: ShardMemory,
): Promise<Check[]> {
  const shards = await Promise.all(
    memory.prefixes.map(async (prefix): Promise<Shard> => {
      const [trial, isEmptied, counts] = await Promise.all([
        tryShard(client, prefix),
        isEmptiedSince(client, prefix, memory.canaries).catch(() => undefined),
        countJobs(client, prefix).catch(() => undefined),
      ])
      return { trial, isEmptied, counts }
    }),
  )
  const trials = shards.flatMap(({ trial }) => trial ?? [])
  const missing = await rightsMissingOn(masters, memory.prefixes[0] ?? '')
  const refused = missing || trials.find((trial) => trial.refused !== undefined)?.refused
  if (trials.length > 0 || missing) memory.isTrusted = !refused
  return [
    ...(refused ? [refusal(refused)] : []),
    ...checkCanaries(shards),
    ...checkCounts(shards.flatMap((shard) => shard.counts ?? [])),
  ]
}

const RIGHTS = /NOPERM|ACL failure|executing the script can't|no permissions|unknown (redis )?command/i

/** Undefined if it fails for another reason than a missing right: adding an event fails then as well. */
function tryShard(client: RedisClient, prefix: string): Promise<Shard['trial']> {
  return tryQueue(client, prefix).then(
    () => ({ refused: undefined }),
    (error) => {
      const { message } = describeError(error)
      return RIGHTS.test(message) ? { refused: message } : undefined
    },
  )
}

/** Empty if no right is missing, or if no node can be asked. */
async function rightsMissingOn(masters: readonly Master[], prefix: string): Promise<string> {
  const asked = masters.map((master) =>
    master.use((client) => missingRights(client, prefix)).catch((): string[] => []),
  )
  const missing = new Set((await Promise.all(asked)).flat())
  return missing.size > 0 ? `no right to ${[...missing].join(', ')}` : ''
}

function refusal(what: string): Check {
  const advice = 'Give its user the rights that docs/operations.md names: until then events take the inbox.'
  return fail('Redis', `events that are added could not be claimed: ${what}`, advice)
}

/** If our canary is gone, or is another one, Redis was emptied, and the waiting events are lost. */
async function isEmptiedSince(
  client: RedisClient,
  prefix: string,
  seen: Map<string, string>,
): Promise<boolean> {
  const { canary } = queueKeys(prefix)
  await client.set(canary, randomUUID(), 'NX')
  const found = (await client.get(canary)) ?? ''
  const isEmptied = seen.has(prefix) && seen.get(prefix) !== found
  seen.set(prefix, found)
  return isEmptied
}

function checkCanaries(shards: readonly Shard[]): Check[] {
  const emptied = shards.flatMap(({ isEmptied }, shard) => (isEmptied ? [shard] : []))
  if (emptied.length === 0) return []
  const advice =
    'Find out who did it (FLUSHALL, another program on this database): events that waited are lost.'
  const where = shards.length === 1 ? '' : ` (shard ${emptied.join(', ')})`
  return [alerting('store-emptied', fail('Redis', `was emptied while Sluice was using it${where}`, advice))]
}

async function countJobs(client: RedisClient, prefix: string): Promise<Counts> {
  const keys = queueKeys(prefix)
  const [waiting, paused, delayed, failed] = await Promise.all([
    client.llen(keys.wait),
    client.llen(keys.paused),
    client.zcard(keys.delayed),
    client.zcard(keys.failed),
  ])
  return { waiting: waiting + paused, delayed, failed }
}

function checkCounts(counts: readonly Counts[]): Check[] {
  if (counts.length === 0) return []
  const sum = (name: keyof Counts) => counts.reduce((total, each) => total + each[name], 0)
  const text = `${sum('waiting')} events waiting, ${sum('delayed')} delayed, ${sum('failed')} failed`
  return sum('failed') === 0
    ? [ok('Queue', text)]
    : [warn('Queue', text, 'Start a worker: it turns failed jobs into dead letters.')]
}
