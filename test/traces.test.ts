import { readIngestConfig, startIngest } from '@sluice/ingest'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { openCollector } from '@sluice/testkit/collector'
import { finishedJourney } from '@sluice/testkit/event'
import { runIngest, runWorker, SERVES } from '@sluice/testkit/process'
import { createWorld, eventually, openDoor, openWorker, post, WAYS, type World } from '@sluice/testkit/world'
import { readWorkerConfig } from '@sluice/worker'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const traceparent = (flags: '00' | '01') => `00-${TRACE}-b7ad6b7169203331-${flags}`

let stack: AsyncDisposableStack

beforeEach(() => {
  stack = new AsyncDisposableStack()
})
afterEach(() => stack.disposeAsync())

const bodyOf = ({ bytes }: { bytes: Buffer }) => bytes as Buffer<ArrayBuffer>
const landed = async (world: World) => (await world.rows('select 1 from events')).length
const settings = (endpoint: string, ratio: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_TRACES_RATIO: ratio,
})
function tracesTo(world: World, endpoint: string, ratio: string) {
  const { traces } = readWorkerConfig({ ...world.env, ...settings(endpoint, ratio) })
  return { traces }
}

it.each(WAYS)('a trace leads from the ingest through %s to the steps of the batch', async (way) => {
  await using collector = await openCollector()
  const world = stack.use(await createWorld(way))
  const door = stack.use(await openDoor(world, tracesTo(world, collector.endpoint, '1')))
  stack.use(await openWorker(world, tracesTo(world, collector.endpoint, '0')))
  const event = finishedJourney({ referenceNo: 'a-person' })
  await door.post(bodyOf(event))

  const spans = await eventually(() => collector.spans.length >= 5 && collector.spans)
  const named = (name: string) => spans.find((span) => span.name === name)
  const [receive, batch] = [named('receive event'), named('land events')]
  expect(receive).toMatchObject({
    service: 'sluice-ingest',
    attributes: { 'sluice.environment': 'live', 'sluice.via': way, 'http.response.status_code': 200 },
    links: [],
  })
  expect(batch).toMatchObject({
    service: 'sluice-worker',
    traceId: receive?.traceId,
    parentSpanId: receive?.spanId,
    links: [{ traceId: receive?.traceId, spanId: receive?.spanId }],
    attributes: { 'sluice.via': way, 'messaging.batch.message_count': 1 },
  })
  expect(batch?.status.code).not.toBe(2)
  const steps = spans.filter(({ parentSpanId }) => parentSpanId === batch?.spanId)
  expect(steps.map(({ name, traceId }) => [name, traceId])).toEqual(
    ['take', 'land', 'finish'].map((name) => [name, receive?.traceId]),
  )
  const [row] = await world.rows<{ of: string }>(`select request->>'traceparent' as of from events`)
  expect(row?.of).toBe(`00-${receive?.traceId}-${receive?.spanId}-01`)
  const sent = collector.requests.map(({ body }) => body).join()
  for (const secret of ['a-person', event.eventId]) expect(sent).not.toContain(secret)
})

it('an event whose sender traces it is traced at any ratio, and others are not', async () => {
  await using collector = await openCollector()
  const world = stack.use(await createWorld('inbox'))
  {
    await using door = await openDoor(world, tracesTo(world, collector.endpoint, '0'))
    for (const flags of ['00', '01', '00'] as const) {
      const headers = { traceparent: traceparent(flags) }
      expect((await door.post(bodyOf(finishedJourney()), { headers })).status).toBe(200)
    }
    await door.post(bodyOf(finishedJourney()))
  }
  expect(collector.spans).toMatchObject([
    { name: 'receive event', traceId: TRACE, parentSpanId: 'b7ad6b7169203331' },
  ])
})

it('an event that no store takes is traced at ratio 0, and the log names its trace', async () => {
  await using collector = await openCollector()
  const world = stack.use(await createWorld('inbox'))
  await world.rows('alter table inbox rename to nothing')
  const lines: Record<string, unknown>[] = []
  const log = createLog('test', 'debug', { write: (line) => void lines.push(JSON.parse(line)) })
  {
    const config = readIngestConfig({ ...world.env, ...settings(collector.endpoint, '0') })
    await using ingest = await startIngest(config, { log, metrics: createMetrics() })
    const answer = await post(`http://127.0.0.1:${ingest.port}`, bodyOf(finishedJourney()))
    expect(answer.status).toBe(503)
  }
  const [span] = collector.spans
  expect(span).toMatchObject({
    name: 'receive event',
    status: { code: 2 },
    attributes: { 'error.type': '42P01', 'http.response.status_code': 503 },
  })
  const line = lines.find(({ msg }) => msg === 'no store has acknowledged an event')
  expect(line).toMatchObject({ trace_id: span?.traceId })
})

describe.each(['hangs', 'is away'] as const)('a collector that %s', (how) => {
  it('holds up neither answers nor landing nor the end', async () => {
    await using collector = await openCollector(null)
    const endpoint = how === 'hangs' ? collector.endpoint : 'http://127.0.0.1:1'
    const world = stack.use(await createWorld('redis'))
    const lines: string[] = []
    const log = createLog('test', 'warn', { write: (line) => void lines.push(JSON.parse(line).msg) })
    const config = readIngestConfig({ ...world.env, ...settings(endpoint, '1') })
    const worker = stack.use(await openWorker(world, tracesTo(world, endpoint, '1')))
    const ingest = stack.use(await startIngest(config, { log, metrics: createMetrics() }))
    const send = () => post(`http://127.0.0.1:${ingest.port}`, bodyOf(finishedJourney()))
    const answers = await Promise.all(Array.from({ length: 40 }, send))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    await eventually(async () => (await landed(world)) === 40)
    if (how === 'hangs') await eventually(() => collector.requests.length > 0)
    expect((await send()).status).toBe(200)
    await eventually(async () => (await landed(world)) === 41)

    await Promise.all([ingest, worker].map((each) => each[Symbol.asyncDispose]()))
    expect(lines).toContain('the last spans were not exported')
    expect(collector.spans).toEqual([])
  })
})

describe('the SDK of OpenTelemetry', () => {
  // prom-client loads the API by itself.
  const LOADED = 'loaded @opentelemetry'
  const hook = `import { registerHooks } from 'node:module'
    registerHooks({ load(url, context, next) {
      if (/\\/@opentelemetry\\/(?!api\\/)/.test(url)) console.log('${LOADED}')
      return next(url, context)
    } })`
  const NODE_OPTIONS = `--import data:text/javascript,${encodeURIComponent(hook)}`

  it.each([
    { endpoint: '', isLoaded: false },
    { endpoint: 'http://127.0.0.1:1', isLoaded: true },
  ])('is loaded with an endpoint alone: "$endpoint"', async ({ endpoint, isLoaded }) => {
    const world = stack.use(await createWorld('redis'))
    const env = { ...world.env, ...settings(endpoint, '1'), NODE_OPTIONS }
    await using ingest = runIngest(env)
    await using worker = runWorker(env)
    const [, port] = await ingest.printed(SERVES.ingest)
    await worker.printed(SERVES.worker)
    expect((await post(`http://127.0.0.1:${port}`, bodyOf(finishedJourney()))).status).toBe(200)
    await eventually(async () => (await landed(world)) === 1)
    expect([ingest, worker].map((each) => each.output().includes(LOADED))).toEqual([isLoaded, isLoaded])
  })
})
