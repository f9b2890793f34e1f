import { setTimeout as pause } from 'node:timers/promises'
import { pathOf } from '@sluice/testkit/path-of'
import type { PoolMode } from '@sluice/testkit/pgbouncer'
import type { Fault } from './fault.ts'

/** While its server is away a PgBouncer refuses clients, and it tries the server again only every 15 s. */
function away(id: string, mode: PoolMode, seconds: number): Fault {
  return {
    id,
    name: `the Postgres behind a PgBouncer in ${mode} mode is killed, and back after ${seconds} s`,
    world: { pooler: mode },
    impossible: () => (pathOf('pgbouncer') ? undefined : 'pgbouncer is not installed'),
    seconds,
    async inject({ postgres }) {
      await postgres.kill()
      await pause(seconds * 1_000)
    },
    async heal({ postgres }) {
      if (!postgres.isRunning) await postgres.start()
    },
    effect: { viaRedis: 100, waited: 1 },
  }
}

export const poolerFaults: readonly Fault[] = [
  away('F29-session', 'session', 8),
  away('F29-transaction', 'transaction', 8),
  away('F29-minutes', 'transaction', 240),
]
