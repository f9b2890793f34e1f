import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRedis, freePort } from '@sluice/embedded'
import {
  createQueueProducer,
  type NewJob,
  type QueueProducer,
  queueKeys,
  shardPrefix,
} from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { startProxy, type TcpProxy } from '@sluice/testkit/proxy'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import { eventually } from '@sluice/testkit/world'
import { expect, test } from 'vitest'

const log = createLog('test', 'silent')
/** Redis looks at the limit of a WAIT every 100 ms, so that the command's own may come first. */
const UNCONFIRMED = /0 of 1 replicas|timed out/

/** A master, its replica behind a link that can be hurt, and an address that can be moved from one to the other. */
type Pair = AsyncDisposable & {
  dir: string
  master: RedisServer
  replica: RedisServer
  link: TcpProxy
  url: string
  attach(port?: number): Promise<void>
  promote(): Promise<void>
  sender(acks?: number): QueueProducer
}

async function createPair(): Promise<Pair> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-failover-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const master = stack.use(await createRedisServer({ dir: join(dir, 'master') }))
  const replica = stack.use(await createRedisServer({ dir: join(dir, 'replica') }))
  const link = stack.use(await startProxy(() => master.port))
  let target = master
  const front = stack.use(await startProxy(() => target.port))
  const url = Object.assign(new URL(master.url), { port: front.port }).href
  const running = stack.move()
  return {
    dir,
    master,
    replica,
    link,
    url,
    async attach(port = link.port) {
      await replica.command('REPLICAOF', '127.0.0.1', port)
      await eventually(async () =>
        /master_link_status:up/.test(String(await replica.command('INFO', 'replication'))),
      )
      await eventually(async () => /state=online/.test(String(await master.command('INFO', 'replication'))))
    },
    async promote() {
      await replica.command('REPLICAOF', 'NO', 'ONE')
      target = replica
      front.cut()
    },
    sender(acks) {
      const sender = createQueueProducer(
        { url, prefix: 'failover', shards: 1, ...(acks !== undefined && { acks }) },
        log,
      )
      running.use(sender)
      return sender
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

function event(jobId: string = randomUUID()): NewJob {
  const envelope = { v: 1, env: 'live', at: 0, deliveryId: randomUUID(), raw: '{}' } as const
  return { jobId, eventKey: null, bodySha256: '', journeyId: null, envelope }
}

/** Adds events all the time; tells which ones Redis has acknowledged, and how many went elsewhere. */
function load(sender: QueueProducer) {
  const acknowledged: string[] = []
  let refused = 0
  const timer = setInterval(() => {
    for (let n = 0; n < 5; n++) {
      const one = event()
      sender.add(one).then(
        () => acknowledged.push(one.jobId),
        () => refused++,
      )
    }
  }, 5)
  return {
    acknowledged,
    get refused() {
      return refused
    },
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

async function missing(redis: RedisServer, acknowledged: readonly string[]): Promise<string[]> {
  const ids = [...acknowledged]
  const keys = queueKeys(shardPrefix('failover', 0))
  const found = await Promise.all(ids.map((id) => redis.command('EXISTS', keys.job(id))))
  return ids.filter((_, index) => found[index] !== 1)
}

test('what was acknowledged is in the replica that takes over, although it was cut off before', async () => {
  await using pair = await createPair()
  await pair.attach()
  const sender = pair.sender()
  expect(await sender.ready(3_000)).toBe(true)
  using stream = load(sender)
  await eventually(() => stream.acknowledged.length > 300)

  await pair.link.set({ kind: 'black-hole' })
  await eventually(() => stream.refused > 300)
  await pair.master.kill()
  await pair.promote()
  await eventually(() => sender.isReady)
  const before = stream.refused
  await eventually(() => stream.refused > before + 100)

  expect(await missing(pair.replica, stream.acknowledged)).toEqual([])
})

test('a replica that comes later is waited for, and goes on being asked for once it is gone', async () => {
  await using pair = await createPair()
  const sender = pair.sender()
  await sender.ready(3_000)
  await sender.add(event())
  await pair.attach()
  await pair.link.set({ kind: 'black-hole' })
  // Until it is seen: within five seconds.
  await eventually(() =>
    sender.add(event()).then(
      () => false,
      () => true,
    ),
  )

  await pair.link.set({ kind: 'refuse' })
  await pair.replica.kill()
  await expect(sender.add(event())).rejects.toThrow()
})

test('a user who may run neither ROLE nor INFO is answered after a replica has confirmed as well', async () => {
  await using pair = await createPair()
  await pair.attach()
  await pair.master.command('ACL', 'SETUSER', 'app', 'on', '>app', '~*', '+@all', '-@dangerous')
  const url = Object.assign(new URL(pair.url), { username: 'app', password: 'app' }).href
  await using sender = createQueueProducer({ url, prefix: 'failover', shards: 1 }, log)
  await sender.ready(3_000)
  await sender.add(event())
  await pair.link.set({ kind: 'black-hole' })

  await expect(sender.add(event())).rejects.toThrow(UNCONFIRMED)
})

test('a job that replicas do not have is not acknowledged to a redelivery either, nor where Redis has forgotten the script', async () => {
  await using pair = await createPair()
  await pair.attach()
  const [one, other, third] = [pair.sender(), pair.sender(), pair.sender()] as const
  for (const sender of [one, other, third]) await sender.ready(3_000)
  const first = event()
  await one.add(event())
  await other.add(event())
  await pair.link.set({ kind: 'black-hole' })

  await expect(one.add(first)).rejects.toThrow(UNCONFIRMED)
  await expect(other.add(event(first.jobId))).rejects.toThrow(UNCONFIRMED)
  await pair.master.command('SCRIPT', 'FLUSH')
  await expect(third.add(event())).rejects.toThrow(UNCONFIRMED)
})

/** A Sentinel with a password of its own. */
async function startSentinel(pair: Pair): Promise<AsyncDisposable & { url: string }> {
  const found = await findRedis()
  if ('reason' in found) throw new Error(found.reason)
  const port = await freePort()
  const password = decodeURIComponent(new URL(pair.master.url).password)
  const file = join(pair.dir, 'sentinel.conf')
  await writeFile(
    file,
    `port ${port}
bind 127.0.0.1
dir ${pair.dir}
requirepass of-the-sentinel
sentinel monitor main 127.0.0.1 ${pair.master.port} 1
sentinel auth-pass main ${password}
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 5000
`,
  )
  const child = spawn(found.path, [file, '--sentinel'], { stdio: 'ignore' })
  return {
    url: `redis+sentinel://:${password}@127.0.0.1:${port}/main?sentinelPassword=of-the-sentinel`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

test('after a failover by Sentinel events go to the new master, which has all that were acknowledged', async () => {
  await using pair = await createPair()
  await pair.attach(pair.master.port)
  await using sentinel = await startSentinel(pair)
  await using sender = createQueueProducer({ url: sentinel.url, prefix: 'failover', shards: 1 }, log)
  await eventually(() => sender.health === 'up')
  using stream = load(sender)
  await eventually(() => stream.acknowledged.length > 300)

  await pair.master.kill()
  await eventually(() => !sender.isReady)
  await eventually(() => sender.isReady)
  // The old master comes back as its replica, and confirms.
  const before = stream.acknowledged.length
  await pair.master.start()
  await eventually(() => stream.acknowledged.length > before + 300, 40_000)

  expect(await missing(pair.replica, stream.acknowledged)).toEqual([])
})
