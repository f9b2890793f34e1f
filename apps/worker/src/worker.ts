import { randomUUID } from 'node:crypto'
import { startScheduler } from '@sluice/scheduler'
import {
  ANY_EVENT,
  announceProcess,
  checkNewSession,
  checkProcesses,
  createDb,
  describeProcess,
  probeLanding,
  recordMinutes,
  type SchemaState,
  schemaState,
  shapeOf,
} from '@sluice/shared/db'
import { createQueueConsumer, createRedisCheck, type QueueConsumer } from '@sluice/shared/queue'
import {
  type Health,
  type Log,
  type Metrics,
  startStoreChecks,
  startTraces,
  totalsOf,
} from '@sluice/shared/runtime'
import type { WorkerConfig } from './config.ts'
import { createConsume } from './consume.ts'
import { createDrain } from './drain.ts'
import { startDraining } from './draining.ts'
import { createLandingDeps, type LandingDeps, rejectedKinds } from './land.ts'
import { createPostgresCircuit } from './postgres-circuit.ts'

/** Four for batches of the queue, eight for those of the inbox (a batch and the claim on it), and two for the rest. */
const CONNECTIONS = 14

/**
 * Lands events from the queue, if there is one, and from the inbox.
 *
 * @returns disposing claims no more events, waits for those under way (at most 20 s), and then closes the stores
 */
export async function startWorker(
  config: WorkerConfig,
  { log, metrics }: { log: Log; metrics: Metrics },
): Promise<AsyncDisposable & { health(): Health }> {
  await using stack = new AsyncDisposableStack()
  // First, so that it ends last.
  const traces = stack.use(await startTraces(config.traces, { service: 'sluice-worker', log }))
  const db = stack.use(
    createDb(config.databaseUrl, {
      max: CONNECTIONS,
      statementMs: 10_000,
      log,
      name: 'worker',
      waited: (seconds) => metrics.poolWait.observe(seconds),
    }),
  )
  let schema: SchemaState | 'unknown' = 'unknown'
  async function lookAtSchema(): Promise<void> {
    schema = await schemaState(db.pool)
    if (schema === 'missing' || schema === 'older') {
      throw new Error('the database is not migrated: run `npx sluice migrate`')
    }
  }

  /** Lands an event, and rolls back. */
  async function probe(): Promise<void> {
    await lookAtSchema()
    await probeLanding(db, shapeOf(ANY_EVENT), { announced: true, again: false })
  }

  const self = describeProcess('worker', config.queue)
  const storeChecks = stack.use(
    await startStoreChecks({
      looks: {
        Postgres: () => checkNewSession(config.databaseUrl, { log, name: 'worker' }),
        ...(config.queue && { Redis: createRedisCheck(config.queue) }),
        Processes: () => checkProcesses(db, self),
      },
      strict: config.strict,
      log,
      metrics,
    }),
  )

  let landing: LandingDeps | undefined
  // Early, so that it ends late: after the last events.
  stack.use(
    recordMinutes({
      db,
      process: self.id,
      role: 'worker',
      totals: () => totalsOf(metrics, ['handled', 'landSeconds']),
      rejected: () => (landing ? rejectedKinds(landing) : []),
      unsafe: storeChecks.unsafe,
      findings: storeChecks.findings,
      log,
    }),
  )
  let consumer: QueueConsumer | undefined
  const circuit = stack.use(
    createPostgresCircuit({
      probe,
      onOpen: () => consumer?.pause(),
      onClose: () => consumer?.resume(),
      log,
    }),
  )
  metrics.watchPool(db.pool)
  metrics.watchCircuits(() => [{ store: 'postgres', isOpen: circuit.state !== 'closed' }])
  await lookAtSchema().catch((error) => circuit.trip(error))
  // Before the consumer, so that it ends later: it does some duties once more for the last jobs.
  if (config.scheduler) stack.use(startScheduler({ ...config, db, metrics, log }))
  landing = createLandingDeps({ db, circuit, metrics, traces, log })
  if (config.queue) {
    const { concurrency } = config
    const handle = createConsume(landing)
    consumer = stack.use(
      createQueueConsumer(config.queue, handle, { concurrency, traces, startBatch: metrics.startBatch, log }),
    )
    if (circuit.state !== 'closed') consumer.pause()
  }
  const drain = createDrain(landing, randomUUID())
  stack.use(startDraining(config.databaseUrl, { drain, circuit, log }))
  stack.use(announceProcess(db, self, log))
  log.info({ queue: config.queue ? 'redis' : 'inbox' }, 'worker takes events')
  const running = stack.move()
  return {
    health: () => ({
      ready: circuit.state === 'closed' && !storeChecks.blocksUse('Postgres'),
      postgres: circuit.state === 'closed' ? 'up' : 'down',
      schema,
      problems: storeChecks.problems(),
    }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}
