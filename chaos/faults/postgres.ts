import { setTimeout as pause } from 'node:timers/promises'
import { migrateSchema } from '@sluice/shared/db'
import pg from 'pg'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

const restart = async ({ postgres }: World) => {
  if (!postgres.isRunning) await postgres.start()
}

function killed(seconds: number): Pick<Fault, 'inject' | 'heal'> {
  return {
    async inject(world) {
      await world.postgres.kill()
      await pause(seconds * 1000)
    },
    heal: restart,
  }
}

/** Ends the connections of Sluice that match, and none of this process. @returns how many */
export async function terminate({ db }: Pick<World, 'db'>, condition = 'true'): Promise<number> {
  const { rowCount } = await db.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name like 'sluice %' and application_name not like 'sluice chaos%' and ${condition}`,
  )
  return rowCount ?? 0
}

export const postgresFaults: readonly Fault[] = [
  {
    id: 'F20',
    name: 'Postgres kill -9, back after 1 s',
    seconds: 2,
    ...killed(1),
    effect: { viaRedis: 100, waited: 1 },
  },
  {
    id: 'F20-8s',
    name: 'Postgres kill -9, back after 8 s',
    seconds: 9,
    ...killed(8),
    effect: { viaRedis: 100, waited: 1 },
  },
  {
    id: 'F21',
    name: 'Postgres down when ingests and workers start',
    seconds: 6,
    ...killed(6),
    beforeStart: true,
    effect: { viaRedis: 100, waited: 1 },
  },
  {
    id: 'F22',
    name: 'Postgres hangs for 14 s (SIGSTOP of all its processes)',
    seconds: 14,
    async inject({ postgres }) {
      postgres.signal('SIGSTOP')
      await pause(14_000)
    },
    heal: async ({ postgres }) => postgres.signal('SIGCONT'),
    effect: { viaRedis: 100, waited: 1 },
  },
  {
    id: 'F24',
    name: 'connections ended inside their transactions, for 5 s',
    seconds: 5,
    async inject(world) {
      for (const end = Date.now() + 5_000; Date.now() < end; await pause(10)) {
        world.trace('terminated', await terminate(world, 'xact_start is not null'))
      }
    },
    heal: async () => {},
    effect: { terminated: 5 },
  },
  {
    id: 'F26',
    name: 'Postgres is read-only for 5 s',
    seconds: 5,
    async inject({ db }) {
      await db.pool.query('alter system set default_transaction_read_only = on')
      await db.pool.query('select pg_reload_conf()')
      await pause(5_000)
    },
    async heal({ db }) {
      const client = await db.pool.connect()
      await client.query('set default_transaction_read_only = off')
      await client.query('alter system reset default_transaction_read_only')
      await client.query('select pg_reload_conf()')
      client.release(true)
    },
    effect: { waited: 1 },
  },
  {
    id: 'F28',
    name: 'every connection of Postgres is taken for 5 s',
    seconds: 6,
    async inject(world) {
      const held: pg.Client[] = []
      const end = Date.now() + 5_000
      while (Date.now() < end) {
        await terminate(world).catch(() => 0)
        await Promise.all(Array.from({ length: 20 }, () => hold(world, held)))
      }
      await Promise.all(held.map((client) => client.end()))
    },
    heal: async () => {},
    effect: { full: 1, waited: 1 },
  },
  {
    id: 'F30',
    name: 'a column is renamed for 5 s (deployed in the wrong order)',
    seconds: 5,
    async inject({ db }) {
      await db.pool.query('alter table events rename column details to details_of_later')
      await pause(5_000)
    },
    heal: async ({ db }) =>
      void (await db.pool.query('alter table events rename column details_of_later to details')),
    effect: { waited: 1 },
  },
  {
    id: 'F31',
    name: 'the schema is not there yet',
    seconds: 8,
    world: { unmigrated: true },
    beforeStart: true,
    inject: () => pause(8_000),
    heal: async ({ db }) => void (await migrateSchema(db)),
    effect: { waited: 1, viaRedis: 100 },
  },
]

async function hold({ postgres, trace }: World, held: pg.Client[]): Promise<void> {
  const client = new pg.Client({ connectionString: postgres.url, connectionTimeoutMillis: 2_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    held.push(client)
  } catch (error) {
    if ((error as { code?: string }).code === '53300') trace('full')
    await client.end().catch(() => {})
  }
}
