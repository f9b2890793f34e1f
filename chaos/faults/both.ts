import { setTimeout as pause } from 'node:timers/promises'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

async function startBoth({ redis, postgres }: World): Promise<void> {
  if (!redis.isRunning) await redis.start()
  if (!postgres.isRunning) await postgres.start()
}

export const bothFaults: readonly Fault[] = [
  {
    id: 'F32',
    mayFail: true,
    name: 'Redis and Postgres both killed, back after 6 s',
    seconds: 7,
    async inject({ redis, postgres }) {
      await Promise.all([redis.kill(), postgres.kill()])
      await pause(6_000)
    },
    heal: startBoth,
    effect: { refused: 50, redelivered: 50, waited: 1 },
  },
  {
    id: 'F33',
    mayFail: true,
    name: 'Redis killed for 5 s while Postgres is slow (200 to 250 ms each way)',
    seconds: 6,
    world: { behindProxy: ['postgres'] },
    async inject({ redis, postgresProxy }) {
      await postgresProxy.set({ kind: 'latency', ms: 200, jitterMs: 50 })
      await redis.kill()
      await pause(5_000)
    },
    async heal(world) {
      await world.postgresProxy.set({ kind: 'pass' })
      await startBoth(world)
    },
    effect: { viaInbox: 50, fellBack: 1 },
  },
]
