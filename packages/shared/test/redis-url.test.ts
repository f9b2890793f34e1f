import { lastErrorOf, pingRedis } from '@sluice/shared/queue'
import { parseRedisUrl, redisAddress, showRedis } from '@sluice/shared/runtime'
import { eventually } from '@sluice/testkit/world'
import type { Redis } from 'ioredis'
import { expect, inject, test } from 'vitest'
import { connectRedis } from '../src/queue/connection.ts'

test.for([
  ['redis://127.0.0.1', { kind: 'single', hosts: [{ host: '127.0.0.1', port: 6379 }], database: 0 }],
  ['redis://:p%40%2Fss:x@h/3', { password: 'p@/ss:x', username: undefined, database: 3, tls: undefined }],
  [
    'rediss://user@[::1]:6380?family=6&servername=redis.example',
    {
      hosts: [{ host: '::1', port: 6380 }],
      username: 'user',
      family: 6,
      tls: { servername: 'redis.example' },
    },
  ],
  [
    'rediss+sentinel://u:p@a,[fe80::1]:1/m%20n/2?sentinelUsername=s&sentinelPassword=a%2Bb',
    {
      kind: 'sentinel',
      hosts: [
        { host: 'a', port: 26379 },
        { host: 'fe80::1', port: 1 },
      ],
      database: 2,
      tls: {},
      sentinel: { name: 'm n', username: 's', password: 'a+b' },
    },
  ],
  ['redis+sentinel://a', { sentinel: { name: 'mymaster' }, database: 0 }],
  [
    'rediss+cluster://:p@a:7000,b',
    {
      kind: 'cluster',
      hosts: [
        { host: 'a', port: 7000 },
        { host: 'b', port: 6379 },
      ],
      tls: {},
    },
  ],
] as const)('a URL is read: %s', ([url, address]) => {
  expect(parseRedisUrl(url)).toMatchObject(address)
})

test.for([
  ['http://a', /is not a redis/],
  ['redis://a,b', /several hosts/],
  ['redis://a:0', /host or port/],
  ['redis://:se/cret@a', /host or port|is not a/],
  ['redis://[a]', /host or port/],
  ['redis://a/one', /database/],
  ['redis+cluster://a/1', /cluster has 0 alone/],
  ['redis://a?fmily=6', /none of family/],
  ['redis://a?servername=b', /without TLS/],
  ['redis://a?sentinelPassword=b', /without redis\+sentinel/],
  ['redis://:%ZZ@a', /%25/],
] as const)('a wrong URL is refused with the reason, and shows no part of it: %s', ([url, problem]) => {
  const result = parseRedisUrl(url)
  expect(result).toEqual({ problem: expect.stringMatching(problem) })
  expect(JSON.stringify(result)).not.toContain('cret')
})

test.for([
  ['redis://user:secret@host/1?family=6', 'host:6379/1'],
  ['rediss+sentinel://:secret@a,[::1]:5/main/0?sentinelPassword=secret', 'a:26379,[::1]:5/main'],
  ['redis+cluster://a,b', 'a:6379,b:6379'],
] as const)('a URL is shown without credentials and parameters: %s', ([url, shown]) => {
  expect(showRedis(redisAddress(url))).toBe(shown)
})

const changed = (parts: Partial<URL>) => Object.assign(new URL(inject('redisUrl')), parts).href

test.concurrent.for([
  ['a wrong password', { password: 'wrong' }, /WRONGPASS/],
  ['no password', { password: '' }, /NOAUTH/],
  ['a host that has no address', { hostname: 'no.such.host.invalid' }, /ENOTFOUND|EAI_AGAIN/],
  ['a port where nobody listens', { port: '1' }, /ECONNREFUSED/],
  ['a database that Redis does not have', { pathname: '/99' }, /DB index is out of range/],
] as const)(
  'a ping rejects with the reason why Redis cannot be used: %s',
  async ([, parts, reason], { expect }) => {
    const url = changed(parts)
    await expect(pingRedis(url)).rejects.toThrow(reason)
    // A cluster of one says the same, but that it has no such database.
    if (!url.endsWith('/99')) {
      const cluster = url.replace('redis:', 'redis+cluster:').replace(/\/\d*$/, '')
      await expect(pingRedis(cluster)).rejects.toThrow(reason)
    }
  },
)

test('a Redis without the database is used by no connection and no copy of one', async () => {
  const url = changed({ pathname: '/99' })
  const client = connectRedis(url, 'worker') as Redis
  const copy = client.duplicate()
  await eventually(() => [client, copy].every((each) => /out of range/.test(String(lastErrorOf(each)))))
  expect([client.status, copy.status]).not.toContain('ready')
  client.disconnect()
  copy.disconnect()
})
