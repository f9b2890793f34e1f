import { finishedJourney, inParallel } from '@sluice/testkit/event'
import { addressOf, type Running, runIngest, runWorker } from '@sluice/testkit/process'
import { createWorld, eventually, openDoor, openWorker, post, WAYS, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

describe.each(WAYS)('processes that are killed or stopped, by the %s', (way) => {
  let world: World
  let stack: AsyncDisposableStack

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld(way))
  })
  afterEach(() => stack.disposeAsync())

  async function landed(): Promise<number> {
    const [row] = await world.rows<{ count: number }>('select count(*)::int from events')
    return row?.count ?? 0
  }

  async function expectExactly(eventIds: ReadonlySet<string>): Promise<void> {
    await eventually(async () => (await landed()) >= eventIds.size, 150_000)
    const rows = await world.rows<{ event_id: string; duplicates: number }>(
      'select event_id, duplicates from events',
    )
    expect(new Set(rows.map((row) => row.event_id))).toEqual(eventIds)
    // Nothing was sent twice, so a duplicate would be a second run of a job that was counted as a redelivery.
    expect(rows.filter((row) => row.duplicates !== 0)).toEqual([])
    expect(await world.rows('select * from dead_letters')).toEqual([])
  }

  it('workers killed with SIGKILL in the middle lose nothing and land nothing twice', async () => {
    const door = stack.use(await openDoor(world))
    // More than three workers land before they are seen to have begun.
    const events = Array.from({ length: 5_000 }, () => finishedJourney())
    await inParallel(events, 32, async ({ bytes }) => expect((await door.post(bytes)).status).toBe(200))

    for (let kills = 0; kills < 3; kills++) {
      const before = await landed()
      // Jobs that have crashed two workers land alone, one after another: few jobs, or it takes minutes.
      await using victim = runWorker({ ...world.env, WORKER_CONCURRENCY: '40' })
      await eventually(async () => (await landed()) > before)
      victim.kill('SIGKILL')
      expect(await victim.exited).toBe('SIGKILL')
    }
    expect(await landed()).toBeLessThan(events.length)
    // A dead worker's jobs are taken over when their locks have expired.
    stack.use(await openWorker(world))

    await expectExactly(new Set(events.map(({ eventId }) => eventId)))
  }, 300_000)

  it('an ingest and a worker stopped with SIGTERM under load end with 0, and every event answered 200 lands', async () => {
    const ingest = stack.use(runIngest(world.env))
    const worker = stack.use(runWorker(world.env))
    const url = await addressOf(ingest)
    const sender = send(url)
    await eventually(async () => (await landed()) > 200)

    ingest.kill('SIGTERM')
    worker.kill('SIGTERM')

    expect(await ingest.exited).toBe(0)
    expect(await worker.exited).toBe(0)
    const { acknowledged, statuses } = await sender.stop()
    expect(statuses).toEqual(new Set([200]))
    stack.use(await openWorker(world))
    await expectExactly(acknowledged)
  })

  it('an ingest killed with SIGKILL under load has lost none of the events that it answered 200', async () => {
    stack.use(await openWorker(world))
    const ingest = stack.use(runIngest(world.env))
    const sender = send(await addressOf(ingest))
    await eventually(async () => (await landed()) > 200)

    ingest.kill('SIGKILL')

    await ingest.exited
    const { acknowledged } = await sender.stop()
    // What was stored without an answer lands as well, perhaps before the last one that was answered.
    await eventually(async () => {
      const ids = await world.rows<{ event_id: string }>('select event_id from events')
      return acknowledged.isSubsetOf(new Set(ids.map((row) => row.event_id)))
    })
  })

  it('no process prints a secret or a body', async () => {
    const processes: Running[] = [runIngest(world.env), runWorker(world.env)].map((running) =>
      stack.use(running),
    )
    const url = await addressOf(processes[0] as Running)
    const { bytes } = finishedJourney({ referenceNo: 'a-reference-to-look-for' })
    await post(url, bytes)
    await fetch(`${url}/webhooks/idwise/live?token=a-token-in-the-query`, {
      method: 'POST',
      body: '{"a-body-to-look-for":1}',
      headers: { authorization: 'Bearer a-wrong-token-to-look-for' },
    })
    await eventually(async () => (await landed()) === 1)

    for (const running of processes) running.kill('SIGTERM')
    await Promise.all(processes.map(({ exited }) => exited))

    for (const running of processes) {
      expect(running.output()).not.toMatch(/to-look-for|in-the-query|token-of-the-tests/)
      for (const line of running.output().trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow()
    }
  })
})

describe('a worker whose stores do not answer', () => {
  const NOBODY = 'postgres://nobody@127.0.0.1:1/nothing'
  it.each([
    ['Postgres', { DATABASE_URL: NOBODY }],
    ['Redis', { REDIS_URL: 'redis://127.0.0.1:1' }],
    ['either of them', { DATABASE_URL: NOBODY, REDIS_URL: 'redis://127.0.0.1:1' }],
  ])('stops on SIGTERM with 0 while %s is away', async (_name, away) => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld('inbox'))
    const worker = stack.use(runWorker({ ...world.env, ...away }))
    await worker.printed(/worker takes events/)
    worker.kill('SIGTERM')
    expect(await worker.exited).toBe(0)
    expect(worker.output()).not.toContain('not everything stopped in time')
  })
})

/** Posts new events over 16 connections until stopped, or until the server is gone. */
function send(url: string): { stop(): Promise<{ acknowledged: Set<string>; statuses: Set<number> }> } {
  const acknowledged = new Set<string>()
  const statuses = new Set<number>()
  let stopped = false
  const sending = Promise.all(
    Array.from({ length: 16 }, async () => {
      while (!stopped) {
        const { eventId, bytes } = finishedJourney()
        const answer = await post(url, bytes).catch(() => undefined)
        if (!answer) return
        statuses.add(answer.status)
        if (answer.status === 200) acknowledged.add(eventId)
        await answer.arrayBuffer()
      }
    }),
  )
  return {
    async stop() {
      stopped = true
      await sending
      return { acknowledged, statuses }
    },
  }
}
