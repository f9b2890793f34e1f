import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { createRedisCluster, type RedisCluster } from '@sluice/testkit/redis-cluster'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import { eventually } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRedisCheck } from '../src/queue/index.ts'
import type { Check } from '../src/runtime/index.ts'

const bad = (checks: Check[]) => checks.filter(({ level }) => level !== 'ok')
const hasOpenssl = () => spawnSync('openssl', ['version']).status === 0
const texts = (checks: Check[]) => bad(checks).map(({ name, text }) => `${name}: ${text}`)

let stack: AsyncDisposableStack
let dir: string
beforeAll(async () => {
  stack = new AsyncDisposableStack()
  dir = await mkdtemp(join(tmpdir(), 'sluice-check-'))
  stack.defer(() => rm(dir, { recursive: true }))
})
afterAll(() => stack.disposeAsync())

describe('a Redis Cluster', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = stack.use(await createRedisCluster(join(dir, 'cluster')))
  })
  const look = (options: { acks?: 'auto' | number } = {}) =>
    createRedisCheck({ url: cluster.url, prefix: 'check', shards: 8, ...options })
  const nameOf = ({ port }: RedisServer) => `Redis 127.0.0.1:${port}`
  /** Without the finding that each master has no replica. */
  const besides = (checks: Check[]) => texts(checks).filter((line) => !line.endsWith(': no replica'))

  it('has all of its masters checked: one with another setting is always found and named', async () => {
    const [, odd] = cluster.nodes as [RedisServer, RedisServer]
    expect(besides(await look()())).toEqual([])
    await odd.configure('appendfsync', 'everysec')
    for (let n = 0; n < 10; n++) {
      const found = await look()()
      expect(besides(found)).toEqual([`${nameOf(odd)}: appendfsync everysec`])
      expect(found.filter((check) => check.unsafe)).toHaveLength(1)
    }
    await odd.configure('appendfsync', 'always')
    await odd.configure('maxmemory-policy', 'allkeys-lru')
    expect(besides(await look()())).toEqual([`${nameOf(odd)}: eviction policy allkeys-lru`])
    await odd.configure('maxmemory-policy', 'noeviction')
  })

  it('has a canary in each shard: an emptied node is noticed, whichever it is', async () => {
    const seen = look()
    await seen()
    const [, , emptied] = cluster.nodes as [RedisServer, RedisServer, RedisServer]
    await emptied.command('FLUSHALL')
    expect(besides(await seen())).toEqual([
      expect.stringMatching(/^Redis: was emptied while Sluice was using it \(shard \d(, \d)+\)$/),
    ])
    expect(besides(await seen())).toEqual([])
  })

  it('is reported to have a master without a replica that could take over', async () => {
    const lines = cluster.nodes.map((node) => `${nameOf(node)}: no replica`)
    expect(texts(await look()()).toSorted()).toEqual(lines.toSorted())
  })

  it('has the nodes checked that answer, and the one that does not is reported', async () => {
    const [first, odd, silent] = cluster.nodes as [RedisServer, RedisServer, RedisServer]
    await odd.configure('appendfsync', 'everysec')
    silent.signal('SIGSTOP')
    try {
      // In the order of the slots' owners, whose ports are anything.
      expect(besides(await look()()).sort()).toEqual(
        [
          `${nameOf(odd)}: appendfsync everysec`,
          `${nameOf(silent)}: cannot be used: no answer in time`,
        ].sort(),
      )
    } finally {
      silent.signal('SIGCONT')
      await odd.configure('appendfsync', 'always')
    }
    await eventually(async () => /cluster_state:ok/.test(String(await first.command('CLUSTER', 'INFO'))))
    await silent.kill()
    expect(besides(await look()())).toEqual([
      expect.stringMatching(`${nameOf(silent)}: cannot be used: the connection is refused`),
    ])
    await silent.start()
  })
})

describe('a Redis with a replica', () => {
  let master: RedisServer
  let replica: RedisServer
  beforeAll(async () => {
    master = stack.use(await createRedisServer({ dir: join(dir, 'master') }))
    replica = stack.use(await createRedisServer({ dir: join(dir, 'replica') }))
    await replica.command('REPLICAOF', '127.0.0.1', master.port)
    await eventually(async () => /slave0:[^\r]*state=online/.test(String(await master.command('INFO'))))
  })
  const look = (acks: 'auto' | number) =>
    createRedisCheck({ url: master.url, prefix: 'check', shards: 1, acks })

  it('is unsafe if no replica has to acknowledge events', async () => {
    expect(bad(await look(0)())).toMatchObject([
      { level: 'warn', unsafe: 'Redis', text: '1 replica, and REDIS_ACKS is 0' },
    ])
    expect(bad(await look('auto')())).toEqual([])
    expect(bad(await look(1)())).toEqual([])
  })

  it('is unsafe then too if its user may not run INFO', async () => {
    await master.command('ACL', 'SETUSER', 'app', 'on', '>app', '~*', '+@all', '-@dangerous')
    const url = `redis://app:app@127.0.0.1:${master.port}`
    const unsafe = async (acks: 'auto' | number) =>
      (await createRedisCheck({ url, prefix: 'check', shards: 1, acks })()).filter((check) => check.unsafe)
    expect(await unsafe(0)).toMatchObject([{ unsafe: 'Redis', text: '1 replica, and REDIS_ACKS is 0' }])
    expect(await unsafe('auto')).toEqual([])
  })

  it('warns if fewer are connected than have to acknowledge, or if one has gone', async () => {
    expect(texts(await look(2)())).toEqual(['Redis: 1 replica connected, events wait for 2'])
    const auto = look('auto')
    await auto()
    await replica.command('REPLICAOF', 'NO', 'ONE')
    await eventually(async () => /connected_slaves:0/.test(String(await master.command('INFO'))))
    expect(bad(await auto())).toMatchObject([
      { text: '0 replicas connected, events wait for 1', advice: expect.stringContaining('inbox') },
    ])
    expect(bad(await look('auto')())).toEqual([])
  })
})

describe('a Redis that cannot be used', () => {
  let redis: RedisServer
  let other: Server
  beforeAll(async () => {
    redis = stack.use(await createRedisServer({ dir: join(dir, 'refusing') }))
    other = createServer().listen(0, '127.0.0.1')
    stack.defer(() => void other.close())
  })
  const at = (credentials: string, path = '') => `redis://${credentials}127.0.0.1:${redis.port}${path}`
  const ofMaster = () => new URL(redis.url).password

  it.skipIf(!hasOpenssl())(
    'says so in words: a certificate of an authority that is not known here',
    async () => {
      const [key, certificate] = [join(dir, 'key.pem'), join(dir, 'certificate.pem')]
      const subject = ['-subj', '/CN=127.0.0.1', '-days', '1', '-keyout', key, '-out', certificate]
      execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject], {
        stdio: 'ignore',
      })
      const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(certificate) })
      await once(server.listen(0, '127.0.0.1'), 'listening')
      stack.defer(() => void server.close())
      const url = `rediss://127.0.0.1:${(server.address() as AddressInfo).port}`
      expect(bad(await createRedisCheck({ url, prefix: 'check', shards: 1 })())).toMatchObject([
        {
          text: expect.stringMatching(/certificate is not trusted/),
          advice: expect.stringMatching(/NODE_EXTRA_CA_CERTS/),
        },
      ])
    },
  )

  it.each([
    ['a wrong password', () => at(':wrong@'), /WRONGPASS/],
    ['no password', () => at(''), /NOAUTH/],
    ['an unknown host', () => 'redis://no-such-host.invalid', /host is not found \((ENOTFOUND|EAI_AGAIN)\)/],
    ['a closed port', () => 'redis://127.0.0.1:1', /ECONNREFUSED/],
    ['a database that it does not have', () => at(`:${ofMaster()}@`, '/99'), /no such database/],
    ['no cluster', () => `redis+cluster://:${ofMaster()}@127.0.0.1:${redis.port}`, /no Redis Cluster/],
    [
      'something else behind the port',
      () => `redis://127.0.0.1:${(other.address() as AddressInfo).port}`,
      /no Redis/,
    ],
  ])('says so in words, and gets no events: %s', async (_, url, text) => {
    expect(bad(await createRedisCheck({ url: url(), prefix: 'check', shards: 1 })())).toMatchObject([
      { level: 'fail', unusable: 'Redis', text: expect.stringMatching(text), advice: expect.any(String) },
    ])
  })

  const setUser = (name: string, ...rights: string[]) =>
    redis.command('ACL', 'SETUSER', name, 'on', `>${name}`, '~{check-*', '+@all', '-@dangerous', ...rights)

  it('is trusted if its user may not see the settings, which the check names', async () => {
    await setUser('plain')
    const found = bad(await createRedisCheck({ url: at('plain:plain@'), prefix: 'check', shards: 1 })())
    expect(found.map(({ level, text }) => [level, text])).toEqual([
      ['warn', 'does not show its version, role, eviction policy, memory, replicas and last writes'],
      ['warn', 'does not show its appendfsync and no-appendfsync-on-rewrite'],
    ])
    expect(found.some((check) => check.unusable)).toBe(false)
    await setUser('timeless', '+info', '+config|get', '-time')
    const look = createRedisCheck({ url: at('timeless:timeless@'), prefix: 'check', shards: 1 })
    expect(bad(await look())).toMatchObject([{ level: 'warn', text: 'does not show its clock' }])
  })

  it('is unusable while jobs that were added cannot be claimed', async () => {
    await setUser('half', '+info', '+config|get', '-rpop')
    const look = createRedisCheck({ url: at('half:half@'), prefix: 'check', shards: 1 })
    expect(bad(await look())).toMatchObject([
      {
        level: 'fail',
        unusable: 'Redis',
        text: expect.stringMatching(/could not be claimed: no right to rpop$/),
      },
    ])
    await setUser('half', '+info', '+config|get')
    expect(bad(await look())).toEqual([])
  })

  it('is trusted as before while it is away', async () => {
    const look = createRedisCheck({ url: redis.url, prefix: 'check', shards: 1 })
    await look()
    await redis.kill()
    expect(bad(await look())).toMatchObject([{ level: 'fail', text: expect.stringMatching(/ECONNREFUSED/) }])
    expect((await look()).some((check) => check.unusable)).toBe(false)
    await redis.start()
  })
})
