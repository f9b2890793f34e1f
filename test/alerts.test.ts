import { createServer, type Socket } from 'node:net'
import { readIngestConfig, startIngest } from '@sluice/ingest'
import { listIncidents, markMadeUp, migrateSchema } from '@sluice/shared/db'
import { alertSettings, startAlertWatch } from '@sluice/shared/operations'
import { createQueueAdmin } from '@sluice/shared/queue'
import { createLog, createMetrics, every } from '@sluice/shared/runtime'
import { hearHttp, titlesOf } from '@sluice/testkit/alert-doubles'
import { finishedJourney } from '@sluice/testkit/event'
import { runWorker, SERVES } from '@sluice/testkit/process'
import { settingsOf } from '@sluice/testkit/settings'
import { createStores, type Stores } from '@sluice/testkit/stores'
import { eventually, post } from '@sluice/testkit/world'
import { readWorkerConfig, startWorker } from '@sluice/worker'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'

const log = createLog('test', 'silent')
const SOON_MS = 30_000

let stores: Stores
let stack: AsyncDisposableStack
let tests = 0
beforeAll(async () => {
  stores = await createStores('alerts', { statementMs: 2_000 })
  await migrateSchema(stores.db)
}, 60_000)
afterAll(() => stores[Symbol.asyncDispose]())
beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(async () => {
  await stack.disposeAsync()
  await stores.db.pool.query(
    'truncate incidents, minutes, refusals, dead_letters, processes, leases, events, inbox',
  )
})

const rows = async <Row = Record<string, unknown>>(sql: string) =>
  (await stores.db.pool.query(sql)).rows as Row[]

/** Settings of a queue of its own, or of none. */
function place(way: 'redis' | 'inbox') {
  const location =
    way === 'redis' ? { url: stores.redis.url, prefix: `alerts${tests++}`, shards: 1 } : undefined
  return { location, env: settingsOf({ databaseUrl: stores.postgres.url, queue: location }) }
}

/** Looks ten times a second, and sends at once. */
function watch(location: ReturnType<typeof place>['location'], channels: string, graceMs = 1_000) {
  const queue = location && stack.use(createQueueAdmin(location, log))
  const settings = { channels: alertSettings.ALERTS.parse(channels) ?? [], heartbeat: undefined }
  const times = { graceMs, claimMs: 60_000, sendEveryMs: 50 }
  const watching = startAlertWatch(
    { db: stores.db, queue, metrics: createMetrics(), log },
    settings,
    'scheduler',
    times,
  )
  stack.use(watching)
  stack.use(every(100, () => watching.round(), { onError() {} }))
}

async function hear() {
  const receiver = stack.use(await hearHttp())
  const told = (pattern: RegExp) =>
    eventually(async () => titlesOf(receiver.heard).find((title) => pattern.test(title)), SOON_MS)
  return { channel: `slack:${receiver.url}`, told, heard: () => titlesOf(receiver.heard) }
}

const openWorker = (env: Record<string, string>) =>
  startWorker(readWorkerConfig(env), { log, metrics: createMetrics() })

async function openIngest(env: Record<string, string>) {
  const deps = { log, metrics: createMetrics(), checkEveryMs: 500 }
  const ingest = stack.use(await startIngest(readIngestConfig(env), deps))
  return async (bytes: Buffer) => (await post(`http://127.0.0.1:${ingest.port}`, bytes)).status
}

it('a Postgres that is away, and what is refused meanwhile, are told, and so is that all came again', async () => {
  const { env, location } = place('inbox')
  const { channel, told } = await hear()
  const send = await openIngest(env)
  stack.use(await openWorker({ ...env, SCHEDULER: 'off' }))
  watch(location, channel)
  await eventually(async () => (await rows('select from processes')).length === 2)
  await stores.postgres.kill()
  const events = [finishedJourney().bytes, finishedJourney().bytes]
  for (const bytes of events) expect(await send(bytes)).toBe(503)
  await told(/^Sluice ALERT.*: Postgres does not answer/)
  // Still refused, as IDWise tries again.
  for (const bytes of events) expect(await send(bytes)).toBe(503)
  await stores.postgres.start()
  await told(/^Sluice OK .*Postgres does not answer/)
  await told(/^Sluice ALERT.*: Ingests refuse events. IDWise gives up on the first of 2 refused events in /)
  for (const bytes of events) await eventually(async () => (await send(bytes)) === 200)
  stack.use(every(200, () => markMadeUp(stores.db.pool, 3_600_000), { onError() {} }))
  await told(/^Sluice OK .* 2 events were refused: 2 came again, 0 are lost\.$/)
}, 60_000)

it('a worker that is killed, settings that may lose events, and a dead letter are told', async () => {
  const { env, location } = place('redis')
  const { channel, told } = await hear()
  const worker = stack.use(runWorker({ ...env, SCHEDULER: 'off' }))
  const send = await openIngest(env)
  await worker.printed(SERVES.worker)
  watch(location, channel)
  const { eventId, bytes } = finishedJourney()
  expect(await send(bytes)).toBe(200)
  await eventually(async () => (await rows('select from events')).length === 1)
  await stores.redis.configure('appendfsync', 'everysec')
  expect(await send(finishedJourney({ eventId, systemDecision: 'Refer' }).bytes)).toBe(200)
  await told(/^Sluice Notice.*: 1 event is a dead letter for one reason \(conflict,/)
  worker.kill('SIGKILL')
  await worker.exited
  // Nobody waits for its last sign of life to become old.
  await rows(`update processes set seen_at = now() - interval '1 minute' where app = 'worker'`)
  expect(await send(finishedJourney().bytes)).toBe(200)
  await told(/^Sluice ALERT.*: Nobody consumes .*1 event waits/)
  await told(/^Sluice ALERT.*: A store may lose events/)
  await stores.redis.configure('appendfsync', 'always')
  stack.use(runWorker({ ...env, SCHEDULER: 'off' }))
  await told(/^Sluice OK .*Nobody consumes/)
  await told(/^Sluice OK .*A store may lose events/)
}, 60_000)

it('events that wait behind a lock are told as late', async () => {
  const { env, location } = place('inbox')
  const { channel, told } = await hear()
  const send = await openIngest(env)
  expect(await send(finishedJourney().bytes)).toBe(200)
  await rows(`update inbox set envelope = regexp_replace(envelope, '"at":[0-9]+',
    '"at":' || (date_part('epoch', now()) * 1000 - 180000)::bigint)`)
  await stores.db.transaction(async (connection) => {
    await connection.query('lock table events in exclusive mode')
    stack.use(await openWorker({ ...env, SCHEDULER: 'off' }))
    watch(location, channel)
    await told(/^Sluice ALERT.*: Workers do not keep up: 1 event waits/)
  })
  await told(/^Sluice OK .*Workers do not keep up/)
}, 60_000)

it('a Redis that is away is told, but not one that comes and goes ten times', async () => {
  const { location } = place('redis')
  const { channel, heard } = await hear()
  watch(location, channel, 30_000)
  const isOpen = async () => (await listIncidents(stores.db.pool)).some(({ name }) => name === 'store-down')
  const pass = () =>
    rows(
      `update incidents set opened_at = opened_at - interval '31 s', last_seen_at = last_seen_at - interval '31 s'`,
    )
  for (let n = 0; n < 10; n++) {
    stores.redis.signal('SIGSTOP')
    await eventually(isOpen, SOON_MS)
    stores.redis.signal('SIGCONT')
    await eventually(async () => {
      await pass()
      return !(await isOpen())
    }, SOON_MS)
  }
  const aboutRedis = () => heard().filter((title) => title.includes('Redis does not answer'))
  expect(aboutRedis()).toEqual([])
  await stores.redis.kill()
  await eventually(isOpen, SOON_MS)
  await rows(`update incidents set opened_at = opened_at - interval '31 s'`)
  await eventually(() => aboutRedis().length === 1, SOON_MS)
  await stores.redis.start()
}, 60_000)

it('events land while a mail server hangs', async () => {
  const { env, location } = place('inbox')
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    socket.on('error', () => {})
    sockets.add(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stack.defer(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as { port: number }
  const ALERTS = `mailto:ops@example.com?via=smtp://127.0.0.1:${port}`
  const send = await openIngest(env)
  // Nobody consumes, until this worker does.
  watch(location, ALERTS)
  expect(await send(finishedJourney().bytes)).toBe(200)
  await eventually(() => sockets.size > 0, SOON_MS)
  stack.use(await openWorker({ ...env, SCHEDULER: 'off' }))
  for (let n = 0; n < 5; n++) expect(await send(finishedJourney().bytes)).toBe(200)
  await eventually(async () => (await rows('select from events')).length === 6)
}, 60_000)
