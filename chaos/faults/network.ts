import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Mode, TcpProxy } from '@sluice/testkit/proxy'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'
import { terminate } from './postgres.ts'

type Between = 'redisProxy' | 'postgresProxy' | 'door'

/** For some seconds the network in front of a store, or of the ingests, is in this mode. */
function network(
  between: Between,
  mode: Mode,
  seconds: number,
): Pick<Fault, 'world' | 'seconds' | 'inject' | 'heal'> {
  const proxy = (world: World): TcpProxy => world[between]
  return {
    seconds,
    ...(between !== 'door' && { world: { behindProxy: [between === 'redisProxy' ? 'redis' : 'postgres'] } }),
    async inject(world) {
      await proxy(world).set(mode)
      await pause(seconds * 1000)
      world.trace('dropped', proxy(world).dropped)
      world.trace('sliced', proxy(world).sliced)
    },
    heal: (world) => proxy(world).set({ kind: 'pass' }),
  }
}

export const networkFaults: readonly Fault[] = [
  {
    id: 'F53',
    mayFail: true,
    name: 'no name resolves for 5 s (and every connection is lost)',
    seconds: 5,
    world: {
      host: 'localhost',
      env: (dir) => ({
        NODE_OPTIONS: `--import ${fileURLToPath(new URL('./name-service.ts', import.meta.url))}`,
        CHAOS_NO_NAMES: noNames(dir),
      }),
    },
    async inject({ dir, redis, db }) {
      await writeFile(noNames(dir), '')
      await redis.command('CLIENT', 'KILL', 'TYPE', 'normal')
      await terminate({ db })
      await pause(5_000)
    },
    heal: ({ dir }) => rm(noNames(dir), { force: true }),
    effect: { refused: 50, redelivered: 50, waited: 1 },
  },
  {
    id: 'N01',
    name: 'the replies of Redis are lost for 3 s',
    ...network('redisProxy', { kind: 'drop-replies' }, 3),
    effect: { dropped: 1, viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'N02',
    name: 'the replies of Postgres are lost for 8 s',
    ...network('postgresProxy', { kind: 'drop-replies' }, 8),
    effect: { dropped: 1, viaRedis: 100 },
  },
  {
    id: 'N03',
    mayFail: true,
    name: 'the answers of the ingests are lost for 3 s',
    ...network('door', { kind: 'drop-replies' }, 3),
    effect: { dropped: 1, ambiguous: 20, redelivered: 20, duplicates: 20 },
  },
  {
    id: 'N04',
    name: 'Redis is a black hole for 4 s',
    ...network('redisProxy', { kind: 'black-hole' }, 4),
    effect: { dropped: 1, viaInbox: 50, fellBack: 1 },
  },
  {
    id: 'N05',
    name: 'each connection to Redis breaks after 60 kB, for 6 s',
    ...network('redisProxy', { kind: 'close-after', bytes: 60_000 }, 6),
    effect: { viaRedis: 100, viaInbox: 1 },
  },
  {
    id: 'N06',
    name: 'requests arrive in segments of one byte for 5 s',
    ...network('door', { kind: 'slice', bytes: 200 }, 5),
    effect: { sliced: 1_000 },
  },
  {
    id: 'N07',
    mayFail: true,
    name: 'connections to the ingests are reset for 3 s',
    ...network('door', { kind: 'reset' }, 3),
    effect: { redelivered: 20 },
  },
  {
    id: 'N08',
    name: 'the line to Postgres carries 20 kB a second for 6 s',
    ...network('postgresProxy', { kind: 'bandwidth', bytesPerSecond: 20_000 }, 6),
    effect: { viaRedis: 100 },
  },
]

function noNames(dir: string): string {
  return join(dir, 'no-names')
}
