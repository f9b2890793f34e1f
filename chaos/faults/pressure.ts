import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { queueKeys, shardPrefix } from '@sluice/shared/queue'
import { LIVE_TOKEN } from '@sluice/testkit/settings'
import { QUEUE_PREFIX, type World } from '../world.ts'
import type { Fault } from './fault.ts'

const KEYS = queueKeys(shardPrefix(QUEUE_PREFIX, 0))
const WAITING = [KEYS.wait, KEYS.active, KEYS.delayed, KEYS.redeliveries]
const SKEW_MS = 30_000
const NEXT_TOKEN = 'the-next-token-of-the-chaos'
/** Sluice reads the settings of the stores once a minute, a tenth more or less. */
const LOOKED_WITHIN_MS = 70_000

/** What happens to a healthy installation: load, neighbours, operators, clocks. */
export const pressureFaults: readonly Fault[] = [
  {
    id: 'F10',
    name: 'the eviction policy of Redis is changed, and noticed within a minute',
    seconds: 60,
    async inject(world) {
      await world.redis.configure('maxmemory-policy', 'allkeys-lru')
      await untilLogged(world, /eviction policy allkeys-lru/)
    },
    heal: ({ redis }) => redis.configure('maxmemory-policy', 'noeviction'),
    effect: { warned: 1 },
  },
  {
    id: 'F16',
    name: 'Redis is emptied (FLUSHALL) while nothing waits in it, and that is noticed within a minute',
    seconds: 60,
    async inject(world) {
      while ((await world.redis.command('EVAL', FLUSH_WHEN_IDLE, WAITING.length, ...WAITING)) !== 1)
        await pause(5)
      await untilLogged(world, /was emptied while Sluice was using it/)
    },
    heal: async () => {},
    effect: { warned: 1 },
  },
  {
    id: 'F37',
    name: 'a worker does nothing for 20 s (SIGSTOP), longer than its locks last, and then goes on',
    seconds: 21,
    async inject({ fleet, trace }) {
      fleet.workers()[0]?.running.kill('SIGSTOP')
      await pause(20_000)
      trace('stopped')
    },
    heal: async ({ fleet }) => fleet.workers()[0]?.running.kill('SIGCONT'),
    effect: { stopped: 1 },
  },
  ...['F38', 'F39', 'F40'].map(
    (id): Fault => ({
      id,
      name: 'code of yours that crashes, hangs or eats memory while it handles an event',
      impossible: () =>
        'no such code runs in Sluice; what an event does that kills its worker is tried in apps/worker/test/crashes.test.ts',
      seconds: 0,
      inject: async () => {},
      heal: async () => {},
      effect: { killed: 1 },
    }),
  ),
  {
    id: 'F43',
    name: 'every process is restarted in turn (SIGTERM), as a deployment does',
    seconds: 16,
    async inject({ fleet, trace }) {
      for (const member of fleet.members) {
        await member.end('SIGTERM')
        await member.up()
        // The balancer asks for readiness every 200 ms.
        await pause(500)
        trace('stopped')
      }
    },
    heal: async () => {},
    effect: { stopped: 4, restarts: 4 },
  },
  {
    id: 'F46',
    name: `the clocks of all processes are ${SKEW_MS / 1000} s ahead of the stores'`,
    seconds: 5,
    world: {
      env: () => ({
        NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(
          `const now = Date.now; Date.now = () => now() + ${SKEW_MS}`,
        )}`,
      }),
    },
    inject: (world) => untilLogged(world, /clock differs by/),
    heal: async () => {},
    effect: { warned: 1 },
  },
  {
    id: 'F48',
    name: 'four busy loops take the processors for 12 s',
    seconds: 13,
    async inject(world) {
      const loops = Array.from({ length: 4 }, () => spawn(process.execPath, ['-e', 'for (;;);']))
      world.own({ [Symbol.asyncDispose]: async () => loops.forEach((loop) => void loop.kill('SIGKILL')) })
      await pause(12_000)
      world.trace('busy', loops.filter(({ exitCode }) => exitCode === null).length)
      for (const loop of loops) loop.kill('SIGKILL')
    },
    heal: async () => {},
    effect: { busy: 4 },
  },
  {
    id: 'F49',
    name: 'ten times the load for 10 s',
    seconds: 10,
    times: 10,
    inject: () => pause(10_000),
    heal: async () => {},
    effect: { viaRedis: 5_000 },
  },
  {
    id: 'F50',
    name: '2,000 connections that send a byte a second, half of them with right credentials',
    seconds: 17,
    inject: trickle,
    heal: async () => {},
    effect: { closed: 1_900 },
  },
  {
    id: 'F51',
    name: 'nobody lands for 10 s (both workers stopped by SIGSTOP)',
    seconds: 11,
    async inject({ fleet, admin, trace }) {
      for (const worker of fleet.workers()) worker.running.kill('SIGSTOP')
      await pause(10_000)
      trace('waiting', (await admin.counts()).waiting)
    },
    heal: async ({ fleet }) => fleet.workers().forEach((worker) => void worker.running.kill('SIGCONT')),
    effect: { waiting: 300 },
  },
  {
    id: 'F55',
    name: 'a second credential is added, one ingest after the other',
    seconds: 8,
    async inject({ env, fleet, door, trace }) {
      env.IDWISE_LIVE_CREDENTIALS = `bearer:${LIVE_TOKEN} bearer:${NEXT_TOKEN}`
      for (const ingest of fleet.ingests()) {
        await ingest.end('SIGTERM')
        await ingest.up()
        await pause(1_000)
        trace('stopped')
      }
      const answer = await fetch(`${door.url}/webhooks/idwise/live`, {
        headers: { authorization: `Bearer ${NEXT_TOKEN}` },
      })
      if (answer.status !== 200) throw new Error(`the new credential was answered ${answer.status}`)
    },
    heal: async () => {},
    effect: { stopped: 2 },
  },
]

const FLUSH_WHEN_IDLE = `
local wait, active, delayed, redeliveries = unpack(KEYS)
local waiting = redis.call('LLEN', wait) + redis.call('LLEN', active)
  + redis.call('ZCARD', delayed) + redis.call('HLEN', redeliveries)
if waiting > 0 then return 0 end
redis.call('FLUSHALL')
return 1`

async function untilLogged(world: World, pattern: RegExp): Promise<void> {
  for (const limit = Date.now() + LOOKED_WITHIN_MS; Date.now() < limit; await pause(200)) {
    const lines = world.fleet.logged(pattern)
    if (lines > 0) return world.trace('warned', lines)
  }
}

/** Opens connections straight to the ingests, and counts those that the ingests close. */
async function trickle(world: World): Promise<void> {
  const ports = world.fleet.ingests().flatMap(({ port }) => port ?? [])
  const head = 'POST /webhooks/idwise/live HTTP/1.1\r\nhost: x\r\n'
  const admitted = `${head}authorization: Bearer ${LIVE_TOKEN}\r\ncontent-length: 1000\r\n\r\n`
  let closed = 0
  const sockets = Array.from({ length: 2_000 }, (_, n) => {
    const socket = connect(ports[n % ports.length] as number, '127.0.0.1')
    socket.on('error', () => {})
    socket.on('close', () => closed++)
    socket.on('data', () => {})
    socket.write(n % 4 < 2 ? admitted : `${head}x-${randomUUID()}: `)
    return socket
  })
  const timer = setInterval(() => {
    for (const socket of sockets) if (!socket.destroyed) socket.write('x')
  }, 1_000)
  await pause(16_000)
  clearInterval(timer)
  world.trace('closed', closed)
  for (const socket of sockets) socket.destroy()
}
