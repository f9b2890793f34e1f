import { setTimeout as pause } from 'node:timers/promises'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

const restart = async ({ redis }: World) => {
  if (!redis.isRunning) await redis.start()
}
/** Makes every client of Redis but ours connect anew. */
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
    bites: { viaRedis: 100 },
  },
  {
    id: 'F01-5s',
    name: 'Redis kill -9, back after 5 s',
    seconds: 5,
    ...killed(5),
    bites: { viaInbox: 100, fellBack: 1 },
  },
  {
    id: 'F02',
    name: 'Redis down when ingests and workers start',
    seconds: 9,
    ...killed(9),
    beforeStart: true,
    bites: { viaInbox: 100, viaRedis: 1 },
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
    bites: { viaInbox: 50, fellBack: 1 },
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
    bites: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F09',
    name: 'Redis has no memory left (maxmemory 1 MB)',
    seconds: 4,
    ...misconfigured('maxmemory', '1mb', 0),
    bites: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F12',
    name: 'Redis lacks a replica (NOREPLICAS)',
    seconds: 4,
    ...misconfigured('min-replicas-to-write', 1, 0),
    bites: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F13',
    name: 'Redis reads its data for seconds after a kill (LOADING)',
    seconds: 6,
    // So many microseconds for each key.
    world: { redisSettings: { 'key-load-delay': '500' } },
    async inject(world) {
      for (let i = 0; i < 2_000; i++) await world.redis.command('SET', `ballast:${i}`, i)
      await world.redis.kill()
      await world.redis.start()
    },
    heal: restart,
    bites: { viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'F17',
    name: 'Redis is busy for 4 s (DEBUG SLEEP)',
    seconds: 4,
    world: { redisSettings: { 'enable-debug-command': 'local' } },
    inject: async ({ redis }) => void (await redis.command('DEBUG', 'SLEEP', 4)),
    heal: async () => {},
    bites: { viaInbox: 50, fellBack: 1 },
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
    bites: { viaInbox: 50, fellBack: 1 },
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
    bites: { viaInbox: 50, fellBack: 1 },
  },
]
