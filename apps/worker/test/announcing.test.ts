import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@sluice/embedded'
import {
  createDb,
  type Db,
  discardDeadLetter,
  migrateSchema,
  pingPostgres,
  replayDeadLetter,
} from '@sluice/shared/db'
import type { QueueJob } from '@sluice/shared/queue'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import pg from 'pg'
import { expect, it } from 'vitest'
import { createConsume } from '../src/consume.ts'
import { createLandingDeps } from '../src/land.ts'
import { createPostgresCircuit } from '../src/postgres-circuit.ts'

const log = createLog('test', 'error')

/** A Postgres for this test alone, with the smallest queue of notifications. */
async function startSmall(stack: AsyncDisposableStack): Promise<string> {
  const stateDir = await mkdtemp(join(tmpdir(), 'sluice-notify-'))
  stack.defer(() => rm(stateDir, { recursive: true, force: true }))
  const options = { stateDir, password: 'x', ping: pingPostgres, report: () => {} }
  const first = await startPostgres(options)
  const client = new pg.Client(first.url)
  await client.connect()
  await client.query('alter system set max_notify_queue_pages = 64')
  await client.end()
  await first.stop(10_000)
  const second = await startPostgres(options)
  stack.defer(() => second.stop(10_000))
  return second.url
}

/** Listens and does not read, so that the queue of notifications fills up. */
async function fillNotifications(db: Db, url: string, stack: AsyncDisposableStack): Promise<void> {
  const listener = new pg.Client(url)
  await listener.connect()
  stack.defer(() => listener.end())
  await listener.query('listen sluice_journeys')
  await listener.query('begin; select 1')
  const fill = async () => {
    for (;;) {
      await db.pool.query(
        `select pg_notify('sluice_journeys', n || repeat('x', 7900)) from generate_series(1, 20) n`,
      )
    }
  }
  await expect(fill()).rejects.toMatchObject({ code: '54000' })
  const one = () => db.pool.query(`select pg_notify('sluice_journeys', repeat('x', 7900))`)
  const fillUp = async () => {
    for (;;) await one()
  }
  await expect(fillUp()).rejects.toMatchObject({ code: '54000' })
}

it('events land, are buried, replayed and discarded although nothing can be announced', async () => {
  await using stack = new AsyncDisposableStack()
  const url = await startSmall(stack)
  const db = stack.use(createDb(url, { max: 5, statementMs: 10_000, log, name: 'test' }))
  await migrateSchema(db)
  await fillNotifications(db, url, stack)
  const circuit = createPostgresCircuit({ probe: async () => {}, onOpen() {}, onClose() {}, log })
  const consume = createConsume(createLandingDeps({ db, circuit, metrics: createMetrics(), log }))
  const jobOf = (raw: string): QueueJob => ({
    jobId: crypto.randomUUID(),
    data: { v: 1, env: 'live', at: Date.now(), arrival: crypto.randomUUID(), raw },
    attempt: 1,
  })
  const good = Array.from({ length: 60 }, () => finishedJourney().bytes.toString())
  const other = (good[0] as string).replace('Complete', 'Refer')
  const jobs = [...good, ...good.slice(0, 1), other].map(jobOf)

  expect((await consume(jobs)).map(({ kind }) => kind)).toEqual(jobs.map(() => 'completed'))

  const stored = async (sql: string) => (await db.pool.query(sql)).rows
  expect(await stored('select count(*)::int as n from events')).toEqual([{ n: 60 }])
  expect(await stored('select count(*)::int as n from journeys')).toEqual([{ n: 60 }])
  const [letter] = await stored('select id::int, reason from dead_letters')
  expect(letter.reason).toBe('conflict')
  const act = { id: letter.id, actor: 'tester' }
  expect(await replayDeadLetter(db, act)).toEqual({ kind: 'done' })
  await stored(`update dead_letters set state = 'open'`)
  expect(await discardDeadLetter(db, act)).toEqual({ kind: 'done' })
})
