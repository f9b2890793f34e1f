import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { migrateSchema } from '@sluice/shared/db'
import { createRedisServer } from '@sluice/testkit/redis-server'
import { LIVE_TOKEN, settingsOf } from '@sluice/testkit/settings'
import { createStores, type Stores } from '@sluice/testkit/stores'
import { createLoad, type Load } from './load.ts'

/** The stores that all candidates use in turn, with the settings that Sluice asks for. */
export type World = Stores & {
  readonly send: Load['send']
  readonly env: Readonly<Record<string, string>>
  /** Empties both stores, and settles them. */
  clear(): Promise<void>
  /** Makes both write everything to disk, so that neither does so while a candidate is measured. */
  settle(): Promise<void>
}

export const QUEUE_PREFIX = 'bench'
/** As the embedded Redis has them. */
const REDIS_SETTINGS = { 'hash-max-listpack-value': '1024', 'auto-aof-rewrite-min-size': '256mb' }

const PEERS_TABLE = `create table bench_events (event_id text primary key, event text not null, journey_id text,
  reference_no text, system_decision text, body jsonb not null, processed_at timestamptz not null default now())`

const TRUNCATE = `
do $$ declare name text; begin
  for name in select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and (
      (n.nspname = 'public' and c.relname not in ('sluice_migrations', 'retention', 'installation'))
      or (n.nspname = 'pgboss' and c.relname in ('job', 'job_common'))
      or (n.nspname = 'graphile_worker' and c.relname = '_private_jobs'))
  loop execute 'truncate ' || name || ' cascade'; end loop;
end $$`

export async function createWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const stores = stack.use(
    await createStores('bench', {
      startRedis: (dir) => createRedisServer({ dir: join(dir, 'redis'), settings: REDIS_SETTINGS }),
      statementMs: 600_000,
    }),
  )
  const { redis, postgres, db } = stores
  await migrateSchema(db)
  await db.pool.query(PEERS_TABLE)
  // The only way to know when a row became visible.
  await db.pool.query('alter system set track_commit_timestamp = on')
  // A Postgres that has run for a while recycles the segments of its log. A new one must create them, which delays
  // every commit by some 50 ms, at full load once a second.
  await db.pool.query(`alter system set min_wal_size = '1GB'`)
  await postgres.kill()
  await postgres.start()
  await db.pool.query(
    `select pg_logical_emit_message(false, 'bench', repeat('x', 1000000)) from generate_series(1, 1000)`,
  )
  async function settle(): Promise<void> {
    await db.pool.query('checkpoint')
    const rewriting = async () =>
      /^aof_rewrite_(in_progress|scheduled):1/m.test(String(await redis.command('INFO', 'persistence')))
    while (await rewriting()) await pause(50)
    await redis.command('BGREWRITEAOF')
    while (await rewriting()) await pause(50)
  }
  const load = stack.use(createLoad(LIVE_TOKEN))
  const held = stack.move()
  return {
    ...stores,
    send: load.send,
    env: settingsOf({
      databaseUrl: postgres.url,
      queue: { url: redis.url, prefix: QUEUE_PREFIX, shards: 1 },
    }),
    async clear() {
      await redis.command('FLUSHALL')
      await db.pool.query(TRUNCATE)
      await settle()
    },
    settle,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
