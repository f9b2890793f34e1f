import { setTimeout as pause } from 'node:timers/promises'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

const restart = async ({ redis }: World) => {
  if (!redis.isRunning) await redis.start()
}
/** Makes every client of Redis but ours reconnect. */
const dropClients = ({ redis }: World) => redis.command('CLIENT', 'KILL', 'TYPE', 'normal')

function killed(seconds: number): Pick<Fault, 'inject' | 'heal'> {
  return {
    async inject(world) {
      await world.redis.kill()
      await pause(seconds * 1000)
    },
    heal: restart,
  }
}

/** Takes room in Redis with keys that are not Sluice's. */
async function fill({ redis, random }: World): Promise<void> {
  await redis.command('SET', `stranger:${random.uuid()}`, 'x'.repeat(20_000)).catch(() => {})
}

async function isFull(world: World): Promise<boolean> {
  const memory = String(await world.redis.command('INFO', 'memory'))
  const [used = 0, most = 0] = ['used_memory', 'maxmemory'].map((name) =>
    Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(memory)?.[1]),
  )
  if (used < most) return false
  world.trace('full')
  return true
}

/** A setting that makes Redis refuse writes, and the value that ends it. */
function misconfigured(
  name: string,
  value: string | number,
  usual: string | number,
): Pick<Fault, 'inject' | 'heal'> {
  return {
    async inject({ redis }) {
      await redis.configure(name, value)
      await pause(4_000)
    },
    heal: ({ redis }) => redis.configure(name, usual),
  }
}

export const redisFaults: readonly Fault[] = [
  {
    id: 'F01',
    name: 'Redis kill -9, back after 0.5 s',
    seconds: 1,
    ...killed(0.5),
    effect: { viaRedis: 100 },
  },
  {
    id: 'F01-5s',
    name: 'Redis kill -9, back after 5 s',
    seconds: 5,
    ...killed(5),
    effect: { viaInbox: 100, fellBack: 1 },
  },
  {
    id: 'F02',
    name: 'Redis down when ingests and workers start',
    seconds: 9,
    ...killed(9),
    beforeStart: true,
    effect: { viaInbox: 100, viaRedis: 1 },
  },
  {
    id: 'F04',
    name: 'Redis hangs 0.4 s, then 3 s (SIGSTOP)',
    seconds: 5,
    async inject({ redis }) {
      for (const ms of [400, 3_000]) {
        redis.signal('SIGSTOP')
        await pause(ms)
        redis.signal('SIGCONT')
        await pause(500)
      }
    },
    heal: async ({ redis }) => redis.signal('SIGCONT'),
    effect: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F06',
    name: 'Redis flaps: 0.7 s up, 0.7 s down, eight times',
    seconds: 12,
    async inject(world) {
      for (let i = 0; i < 8; i++) {
        await world.redis.kill()
        await pause(700)
        await world.redis.start()
        await pause(700)
      }
    },
    heal: restart,
    effect: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F09',
    name: 'Redis has no memory left (maxmemory 1 MB)',
    seconds: 4,
    ...misconfigured('maxmemory', '1mb', 0),
    effect: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F09-drain',
    name: 'Redis fills up while no worker runs, and is drained by the workers as full as it is',
    seconds: 14,
    world: { redisSettings: { maxmemory: '4mb' } },
    async inject(world) {
      const workers = world.fleet.workers().map(({ running }) => running)
      for (const worker of workers) worker.kill('SIGSTOP')
      try {
        while (!(await isFull(world))) await fill(world)
        await pause(6_000)
      } finally {
        for (const worker of workers) worker.kill('SIGCONT')
      }
    },
    heal: async () => {},
    effect: { full: 1, viaRedis: 100, viaInbox: 100, fellBack: 1 },
  },
  {
    id: 'F18-rights',
    name: 'the rights of the Redis user are taken: scripts for 4 s, then its keys for 4 s (NOPERM)',
    seconds: 9,
    async inject({ redis }) {
      for (const [less, more] of [
        ['-@scripting', '+@scripting'],
        ['resetkeys', 'allkeys'],
      ] as const) {
        await redis.command('ACL', 'SETUSER', 'default', less)
        await pause(4_000)
        await redis.command('ACL', 'SETUSER', 'default', more)
      }
    },
    heal: ({ redis }) => redis.command('ACL', 'SETUSER', 'default', 'allkeys', '+@all').then(() => {}),
    effect: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F12',
    name: 'Redis lacks a replica (NOREPLICAS)',
    seconds: 4,
    ...misconfigured('min-replicas-to-write', 1, 0),
    effect: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F13',
    name: 'Redis reads its data for seconds after a kill (LOADING)',
    seconds: 6,
    // Microseconds for each key.
    world: { redisSettings: { 'key-load-delay': '500' } },
    async inject(world) {
      for (let i = 0; i < 2_000; i++) await world.redis.command('SET', `ballast:${i}`, i)
      await world.redis.kill()
      await world.redis.start()
    },
    heal: restart,
    effect: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F17',
    name: 'Redis is busy for 4 s (DEBUG SLEEP)',
    seconds: 4,
    world: { redisSettings: { 'enable-debug-command': 'local' } },
    inject: async ({ redis }) => void (await redis.command('DEBUG', 'SLEEP', 4)),
    heal: async () => {},
    effect: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F18',
    name: 'the password of Redis is changed',
    seconds: 4,
    async inject(world) {
      const [, usual] = (await world.redis.command('CONFIG', 'GET', 'requirepass')) as string[]
      await world.redis.configure('requirepass', `${usual}-other`)
      await dropClients(world)
      await pause(4_000)
      await world.redis.configure('requirepass', usual ?? '')
    },
    heal: async () => {},
    effect: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F19',
    name: 'Redis takes no connections (maxclients)',
    seconds: 4,
    async inject(world) {
      await world.redis.configure('maxclients', 1)
      await dropClients(world)
      await pause(4_000)
    },
    heal: ({ redis }) => redis.configure('maxclients', 10_000),
    effect: { viaInbox: 50, fellBack: 1 },
  },
]
