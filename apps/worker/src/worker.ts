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
  type SchemaState,
  schemaState,
  shapeOf,
} from '@sluice/shared/db'
import {
  createQueueAdmin,
  createQueueConsumer,
  createRedisCheck,
  type QueueConsumer,
} from '@sluice/shared/queue'
import { type Health, type Log, type Metrics, startStoreChecks } from '@sluice/shared/runtime'
import type { WorkerConfig } from './config.ts'
import { createConsume } from './consume.ts'
import { createDrain } from './drain.ts'
import { startDraining } from './draining.ts'
import { createLandingDeps } from './land.ts'
import { createPostgresCircuit } from './postgres-circuit.ts'
import { startWatchdog } from './watchdog.ts'

/** Four batches of the queue, four of the inbox with a note of each, and two for what goes on beside them. */
const CONNECTIONS = 14

/**
 * Lands events from the queue, where one is configured, and from the inbox, always.
 *
 * @param deps.onStuck is told once when this worker takes no jobs although some wait: it should end
 * @returns disposing stops taking events, waits for those under way (at most 20 s), then closes the stores.
 */
export async function startWorker(
  config: WorkerConfig,
  { log, metrics, onStuck }: { log: Log; metrics: Metrics; onStuck(error: Error): void },
): Promise<AsyncDisposable & { health(): Health }> {
  await using stack = new AsyncDisposableStack()
  const db = stack.use(
    createDb(config.databaseUrl, { max: CONNECTIONS, statementMs: 10_000, log, name: 'worker' }),
  )
  let schema: SchemaState | 'unknown' = 'unknown'
  async function lookAtSchema(): Promise<void> {
    schema = await schemaState(db.pool)
    if (schema === 'missing' || schema === 'older') {
      throw new Error('the database is not migrated: run `sluice migrate`')
    }
  }

  /** As an event would, but rolled back. */
  async function probe(): Promise<void> {
    await lookAtSchema()
    await probeLanding(db, shapeOf(ANY_EVENT), { announced: true, again: false })
  }

  const admin = config.queue && stack.use(createQueueAdmin(config.queue, log))
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

  let receiver: QueueConsumer | undefined
  let lastActiveAt = performance.now()
  const circuit = stack.use(
    createPostgresCircuit({
      probe,
      onOpen: () => receiver?.pause(),
      onClose() {
        lastActiveAt = performance.now()
        receiver?.resume()
      },
      log,
    }),
  )
  await lookAtSchema().catch((error) => circuit.trip(error))
  // Before the consumer, so that it ends later: it does some duties once more for the last jobs.
  if (config.scheduler) stack.use(startScheduler({ db, admin, log }))
  const landing = createLandingDeps({ db, circuit, metrics, log })
  if (config.queue && admin) {
    const consume = createConsume(landing)
    receiver = stack.use(
      createQueueConsumer(
        config.queue,
        (jobs) => {
          lastActiveAt = performance.now()
          return consume(jobs)
        },
        { concurrency: config.concurrency, log },
      ),
    )
    if (circuit.state !== 'closed') receiver.pause()
    const isFetching = () => circuit.state === 'closed' && storeChecks.isUsable('Redis')
    const oldestWaiting = () => admin.oldestWaiting(config.queue?.consume)
    stack.use(startWatchdog({ oldestWaiting, lastActiveAt: () => lastActiveAt, isFetching, onStuck }))
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
