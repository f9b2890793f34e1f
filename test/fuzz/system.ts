import assert from 'node:assert'
import { randomUUID } from 'node:crypto'
import { startIngest } from '@sluice/ingest'
import { identify, parseNames } from '@sluice/shared/idwise'
import { createQueueAdmin, queueKeys, shardPrefix } from '@sluice/shared/queue'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { giveUpJob } from '@sluice/testkit/given-up-job'
import { runWorker } from '@sluice/testkit/process'
import { eventually, openWorker, post, type World, withQueue } from '@sluice/testkit/world'
import { Redis } from 'ioredis'
import type { Body } from './bodies.ts'

const log = createLog('test', process.env.TEST_LOG_LEVEL ?? 'error')

/** An ingest and at most one worker on emptied stores. */
export type System = Awaited<ReturnType<typeof createSystem>>

export async function createSystem(shared: World) {
  await using stack = new AsyncDisposableStack()
  const world = withQueue(shared, `t_${randomUUID()}`)
  await empty(world)
  const queue = world.workerConfig.queue && stack.use(openQueue(world.workerConfig.queue))
  const metrics = createMetrics()
  const openIngest = () => startIngest(world.ingestConfig, { log, metrics })
  let ingest = await openIngest()
  stack.defer(() => ingest[Symbol.asyncDispose]())
  let worker: AsyncDisposable | undefined
  stack.defer(async () => worker?.[Symbol.asyncDispose]())

  async function stopWorker(): Promise<void> {
    const stopping = worker
    worker = undefined
    await stopping?.[Symbol.asyncDispose]()
  }

  async function startWorker(): Promise<void> {
    worker ??= await openWorker(world)
  }

  async function isSettled(): Promise<boolean> {
    const rows = await world.rows('select 1 from inbox limit 1')
    return rows.length === 0 && ((await queue?.isIdle()) ?? true)
  }

  const running = stack.move()
  return {
    world,
    stopWorker,
    startWorker,
    settled: () => eventually(isSettled),
    hasWorker: () => worker !== undefined,
    async send(bodies: readonly Body[]): Promise<void> {
      const url = `http://127.0.0.1:${ingest.port}`
      const answers = await Promise.all(
        bodies.map(({ bytes, environment }) => post(url, bytes as Buffer<ArrayBuffer>, { environment })),
      )
      for (const answer of answers) assert.equal(answer.status, 200)
    },
    async restartIngest(): Promise<void> {
      await ingest[Symbol.asyncDispose]()
      ingest = await openIngest()
    },
    /** Kills a worker at this step. If no event leads there, it is killed when everything has settled. */
    async killWorker(step: string): Promise<void> {
      await stopWorker()
      await using child = runWorker({ ...world.env, SLUICE_FAILPOINT: step })
      const abandoned = new AbortController()
      const settled = eventually(async () => abandoned.signal.aborted || (await isSettled()))
      await Promise.race([child.exited, settled])
      abandoned.abort()
      await settled
      child.kill('SIGKILL')
      await child.exited
      await startWorker()
    },
    async giveUp(body: Body): Promise<void> {
      await queue?.giveUp(identify(body.environment, body.bytes, parseNames(body.bytes), Date.now()).jobId)
    },
    /** Whether Redis was too slow once, so that an event went to the inbox or to both stores. */
    async tookTheOtherWay(): Promise<boolean> {
      const { values } = await metrics.enqueued.get()
      return queue !== undefined && values.some(({ labels, value }) => labels.via === 'inbox' && value > 0)
    },
    leftInQueue: async () => queue?.left(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** Empties every table but those whose rows the migrations have made. */
async function empty(world: World): Promise<void> {
  const tables = await world.rows<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'public' and tablename not in
      ('sluice_migrations', 'retention', 'installation')`,
  )
  await world.rows(`truncate ${tables.map(({ name }) => name).join()} restart identity`)
}

function openQueue(location: { url: string; prefix: string; shards: number }) {
  const admin = createQueueAdmin(location, log)
  const client = new Redis(location.url)
  const keys = queueKeys(shardPrefix(location.prefix, 0))
  return {
    async isIdle(): Promise<boolean> {
      const { waiting, active, delayed, failed } = await admin.counts()
      return waiting + active + delayed + failed === 0
    },
    async left() {
      const { completed: _, ...counts } = await admin.counts()
      return { ...counts, redeliveries: await client.hlen(keys.redeliveries) }
    },
    giveUp: (jobId: string) => giveUpJob(location.url, keys.prefix, jobId),
    async [Symbol.asyncDispose]() {
      await admin[Symbol.asyncDispose]()
      client.disconnect()
    },
  }
}
