import { makeRoot } from '@sluice/testkit/sandbox'
import { expect, test } from 'vitest'
import { leftovers, recordLeft, recordServed, type ServedStore } from '../src/start/leftovers.ts'

const queue = { prefix: 'sluice', shards: 1 }
const privateRedis: ServedStore = { kind: 'private redis', queue }
const ownRedis: ServedStore = { kind: 'external redis', at: 'redis.example:6379/0', queue }
const postgres: ServedStore = { kind: 'embedded postgres' }

test('a store that an earlier start served and left with events is named with their number', async () => {
  const dir = makeRoot()
  await recordServed(dir, [ownRedis, postgres])
  await recordLeft(dir, ownRedis, 2)
  await recordLeft(dir, postgres, 0)

  expect(await leftovers(dir, [privateRedis, postgres])).toEqual([
    'The Redis at redis.example:6379/0, served by an earlier start, still holds 2 events. ' +
      'Set REDIS_URL to it and start again to land them.',
  ])
})

test('a store whose start was killed may hold events, until it is served again and left empty', async () => {
  const dir = makeRoot()
  await recordServed(dir, [privateRedis])
  expect(await leftovers(dir, [ownRedis])).toEqual([expect.stringContaining('may still hold events')])

  expect(await leftovers(dir, [privateRedis])).toEqual([])
  await recordServed(dir, [privateRedis])
  await recordLeft(dir, privateRedis, 0)

  expect(await leftovers(dir, [ownRedis])).toEqual([])
})

test.for([
  ['another prefix', { prefix: 'other', shards: 4 }],
  ['fewer shards', { prefix: 'old', shards: 1 }],
] as const)('a queue that a start with %s does not serve is named with its settings', async ([, now]) => {
  const dir = makeRoot()
  const old: ServedStore = { kind: 'private redis', queue: { prefix: 'old', shards: 4 } }
  await recordServed(dir, [old])
  await recordLeft(dir, old, 40)
  const served: ServedStore = { kind: 'private redis', queue: now }

  expect(await leftovers(dir, [served])).toEqual([
    expect.stringMatching(/still holds 40 events.*QUEUE_PREFIX=old QUEUE_SHARDS=4/),
  ])
  await recordServed(dir, [served])
  await recordLeft(dir, served, 0)
  expect(await leftovers(dir, [served])).toHaveLength(1)

  expect(await leftovers(dir, [{ kind: 'private redis', queue: { prefix: 'old', shards: 8 } }])).toEqual([])
})
