import { randomUUID } from 'node:crypto'
import { insertInbox } from '@sluice/shared/db'
import { createLog, createMetrics, startTraces } from '@sluice/shared/runtime'
import { openCollector, type ReceivedSpan } from '@sluice/testkit/collector'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createConsume } from '../src/consume.ts'
import { createDrain } from '../src/drain.ts'
import { createLandingDeps } from '../src/land.ts'
import { createPostgresCircuit } from '../src/postgres-circuit.ts'

const log = createLog('test', 'error')
let stack: AsyncDisposableStack
let world: World

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  world = stack.use(await createWorld('inbox'))
})
afterEach(() => stack.disposeAsync())

const traceparent = (n: number, flags = '01') =>
  `00-${String(n).padStart(32, 'a')}-${String(n).padStart(16, 'b')}-${flags}`

function eventOf(trace: string | undefined, fields: Record<string, unknown> = {}) {
  const { bytes } = finishedJourney(fields)
  const deliveryId: string = randomUUID()
  return {
    jobId: `e-${deliveryId}`,
    envelope: { v: 1, env: 'live', at: Date.now(), arrival: deliveryId, raw: bytes.toString(), trace },
  }
}
type Event = ReturnType<typeof eventOf>

/** Handles the events as one batch, and returns the spans. */
async function handle(way: 'redis' | 'inbox', events: readonly Event[]): Promise<readonly ReceivedSpan[]> {
  await using collector = await openCollector()
  const settings = { url: `${collector.endpoint}/v1/traces`, headers: {}, attributes: {}, ratio: 0 }
  {
    await using traces = await startTraces(settings, { service: 'test', log })
    const circuit = createPostgresCircuit({ probe: async () => {}, onOpen() {}, onClose() {}, log })
    const deps = createLandingDeps({ db: world.db, circuit, metrics: createMetrics(), traces, log })
    if (way === 'redis') {
      const trace = traces?.batch('land events')
      await createConsume(deps)(
        events.map(({ jobId, envelope }) => ({ jobId, data: envelope, attempt: 8 })),
        trace,
      )
      trace?.end({})
    } else {
      await insertInbox(
        world.db.pool,
        events.map(({ jobId, envelope }) => ({ jobId, envelope: JSON.stringify(envelope) })),
      )
      await createDrain(deps, 'test')(0)
    }
  }
  return collector.spans.filter(({ name }) => name === 'land events')
}

describe.each(['redis', 'inbox'] as const)('a batch from %s', (way) => {
  it('is one span with links to the events that are sampled', async () => {
    const traces = [
      traceparent(1),
      traceparent(2, '00'),
      undefined,
      'none',
      traceparent(3),
      traceparent(4, '0b'),
    ]
    const spans = await handle(
      way,
      traces.map((trace) => eventOf(trace)),
    )
    const linked = spans.map(({ links }) => links.map(({ traceId }) => traceId.replace(/^a+/, '')).sort())
    expect(linked).toEqual([['1', '3', '4']])
    expect(spans).toMatchObject([
      { status: { code: 0 }, attributes: { 'messaging.batch.message_count': 6 }, events: [] },
    ])
  })

  it('has no span if none is sampled and nothing fails', async () => {
    expect(await handle(way, [eventOf(undefined), eventOf(traceparent(2, '00'))])).toEqual([])
  })

  it('that fails has a span in any case, with what failed and no message', async () => {
    await world.rows(`alter table events add constraint no_poison check (reference_no <> 'poison')`)
    const spans = await handle(way, [eventOf(undefined), eventOf(undefined, { referenceNo: 'poison' })])
    expect(spans).toMatchObject([{ status: { code: 2 }, links: [], attributes: { 'error.type': '23514' } }])
    expect(spans[0]?.events[0]).toMatchObject({
      name: 'exception',
      attributes: { 'exception.type': '23514' },
    })
    expect(JSON.stringify(spans)).not.toContain('poison')
  })

  it('of which an event becomes a dead letter as it lands has a span', async () => {
    const first = eventOf(undefined)
    await handle(way, [first])
    const raw = first.envelope.raw.replace('REF-1', 'REF-2')
    const again = { jobId: 'e-again', envelope: { ...first.envelope, arrival: 'again', raw } }
    expect(await handle(way, [again])).toMatchObject([
      { status: { code: 2 }, attributes: { 'error.type': 'conflict' } },
    ])
  })
})
