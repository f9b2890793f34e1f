import { expect, test } from 'vitest'
import { leftovers, recordLeft, recordServed, type ServedStore, whereIs } from '../src/start/leftovers.ts'
import { makeRoot } from './sandbox.ts'

const privateRedis: ServedStore = { kind: 'private redis' }
const ownRedis: ServedStore = { kind: 'external redis', at: 'redis.example:6379/0' }
const postgres: ServedStore = { kind: 'embedded postgres' }

test('a store that an earlier start served and left with events is announced with their number', async () => {
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
  ['redis://user:secret@host:6379/1?family=6', 'host:6379/1'],
  ['redis+sentinel://:secret@a:26379,b:26379/main/0', 'a:26379,b:26379/main/0'],
  ['postgres://u:se?cret@host/db', 'another server'],
  ['postgres://host/db?password=secret', 'host/db'],
  ['postgres://host/db?password=sec@ret', 'another server'],
])('a store is named without its credentials: %s', ([url, name]) => {
  expect(whereIs(url as string)).toBe(name)
})
