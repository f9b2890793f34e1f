import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createDb, type Db, migrateSchema } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { createPostgresServer, type PostgresServer } from '@sluice/testkit/postgres-server'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import { createLoad, type Load } from './load.ts'

/** The stores that every candidate runs on in turn, with the settings that Sluice asks for. */
export type World = AsyncDisposable & {
  readonly send: Load['send']
  readonly redis: RedisServer
  readonly postgres: PostgresServer
  readonly db: Db
  readonly env: Readonly<Record<string, string>>
  /** Empties both stores, and settles them. */
  clear(): Promise<void>
  /** Lets both write out what they have, so that neither begins to while somebody else is measured. */
  settle(): Promise<void>
}

const TOKEN = randomBytes(24).toString('base64url')

const PEERS_TABLE = `create table bench_events (event_id text primary key, event text not null, journey_id text,
  reference_no text, system_decision text, body jsonb not null, processed_at timestamptz not null default now())`

const TRUNCATE = `
do $$ declare name text; begin
  for name in select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and (
      (n.nspname = 'public' and c.relname <> 'sluice_migrations')
      or (n.nspname = 'pgboss' and c.relname in ('job', 'job_common'))
      or (n.nspname = 'graphile_worker' and c.relname = '_private_jobs'))
  loop execute 'truncate ' || name || ' cascade'; end loop;
end $$`

export async function createWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  await chmod(dir, 0o711)
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  const settings = { 'hash-max-listpack-value': '1024', 'auto-aof-rewrite-min-size': '256mb' }
  const redis = stack.use(await createRedisServer({ dir: join(dir, 'redis'), settings }))
  const postgres = stack.use(await createPostgresServer({ dir: join(dir, 'postgres') }))
  const log = createLog('bench', 'silent')
  const db = stack.use(createDb(postgres.url, { max: 2, statementMs: 600_000, log, name: 'bench' }))
  await migrateSchema(db)
  await db.pool.query(PEERS_TABLE)
  // Tells when a row could be seen, which no column can.
  await db.pool.query('alter system set track_commit_timestamp = on')
  // As where Postgres has run for a while, the segments of its log are there to be written anew: to make one holds up
  // every commit for some 50 ms, at full load once a second.
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
  const load = stack.use(createLoad(TOKEN))
  const held = stack.move()
  return {
    send: load.send,
    redis,
    postgres,
    db,
    env: {
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      BENCH_TOKEN: TOKEN,
      IDWISE_LIVE_CREDENTIALS: `bearer:${TOKEN}`,
      IDWISE_SANDBOX_CREDENTIALS: `bearer:${TOKEN}`,
      QUEUE_PREFIX: 'bench',
      INGEST_PORT: '0',
      WORKER_PORT: '0',
      METRICS_PORT: '0',
      SHUTDOWN_DELAY_SECONDS: '0',
    },
    async clear() {
      await redis.command('FLUSHALL')
      await db.pool.query(TRUNCATE)
      await settle()
    },
    settle,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
