import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDb, type Db, migrateSchema } from '@sluice/shared/db'
import { createQueueAdmin, type QueueAdmin } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { addressOf, PROGRAMS, type Running, run, SERVES } from '@sluice/testkit/process'
import { createRedisServer, type RedisServer } from '@sluice/testkit/redis-server'
import { LIVE_TOKEN, SANDBOX_TOKEN, settingsOf } from '@sluice/testkit/settings'
import { type SystemPostgres, startSystemPostgres } from '@sluice/testkit/system-postgres'
import type { Sample } from './events.ts'

export const PREFIX = 'upgrade'

/** The stores in which a fixture is made, and the processes of Sluice that make it. */
export type Maker = AsyncDisposable & {
  readonly postgres: SystemPostgres
  readonly redis: RedisServer
  readonly db: Db
  readonly queue: QueueAdmin
  /** Posts an event to an ingest that uses Redis, or to one that has only the inbox. */
  post(sample: Sample, way: 'redis' | 'inbox'): Promise<void>
  /** Runs a worker during the work. */
  whileWorking(work: () => Promise<void>, settings?: Record<string, string>): Promise<void>
  /** Runs a worker that dies as soon as it has claimed something. */
  crashAtClaim(way: 'redis' | 'inbox'): Promise<void>
  /** Runs the scheduler's duties without a queue until `check` resolves. */
  whileScheduling(check: () => Promise<unknown>): Promise<void>
  sluice(...args: string[]): Promise<void>
  rows<Row>(sql: string): Promise<Row[]>
}

/** @param bin the folder of Postgres' programs */
export async function createMaker(bin: string): Promise<Maker> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-upgrade-'))
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  await chmod(dir, 0o755)
  const redis = stack.use(await createRedisServer({ dir: join(dir, 'redis') }))
  const postgres = stack.use(await startSystemPostgres(bin, dir))
  const log = createLog('upgrade', 'silent')
  const db = stack.use(createDb(postgres.url, { max: 3, statementMs: 30_000, log, name: 'upgrade' }))
  await migrateSchema(db)
  const location = { url: redis.url, prefix: PREFIX, shards: 1 }
  const queue = stack.use(createQueueAdmin(location, log))
  await queue.ready(5_000)

  const env = {
    redis: settingsOf({ databaseUrl: postgres.url, queue: location }),
    inbox: settingsOf({ databaseUrl: postgres.url }),
  }
  const ingests = {
    redis: stack.use(run(PROGRAMS.ingest, [], env.redis)),
    inbox: stack.use(run(PROGRAMS.ingest, [], env.inbox)),
  }
  const urls = { redis: await addressOf(ingests.redis), inbox: await addressOf(ingests.inbox) }

  async function ended(running: Running, how: number | string): Promise<void> {
    const ending = await running.exited
    if (ending !== how) throw new Error(`a process ended with ${ending}:\n${running.output()}`)
  }
  const held = stack.move()
  return {
    postgres,
    redis,
    db,
    queue,
    async post({ bytes, environment }, way) {
      const token = environment === 'live' ? LIVE_TOKEN : SANDBOX_TOKEN
      const answer = await fetch(`${urls[way]}/webhooks/idwise/${environment}`, {
        method: 'POST',
        body: new Uint8Array(bytes),
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          'user-agent': 'IDWise-Webhooks/1.0',
        },
      })
      if (answer.status !== 200) throw new Error(`answered ${answer.status}`)
    },
    async whileWorking(work, settings) {
      await using worker = run(PROGRAMS.worker, [], { ...env.redis, ...settings })
      await worker.printed(SERVES.worker)
      await work()
      worker.kill('SIGTERM')
      await ended(worker, 0)
    },
    async crashAtClaim(way) {
      const armed = { ...env[way], SCHEDULER: 'off', SLUICE_FAILPOINT: 'worker-after-claim' }
      await using worker = run(PROGRAMS.worker, [], armed)
      await ended(worker, 'SIGKILL')
    },
    async whileScheduling(check) {
      await using scheduler = run(PROGRAMS.scheduler, [], { ...env.inbox, SCHEDULER_PORT: '0' })
      await check()
      scheduler.kill('SIGTERM')
      await ended(scheduler, 0)
    },
    async sluice(...args) {
      await using command = run(PROGRAMS.cli, args, env.redis)
      await ended(command, 0)
    },
    rows: async <Row>(sql: string) => (await db.pool.query(sql)).rows as Row[],
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}
