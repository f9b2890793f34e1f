import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { parseMix, simulate } from '../src/index.ts'
import { oneEvent, startReceiver, status } from './receiver.ts'

test('an event that is refused comes again after each gap with the same bytes, and is then given up', async () => {
  await using receiver = await startReceiver(status(500))
  const summary = await simulate({ ...oneEvent(receiver.url), timeScale: 3000 })
  const [first = 0, ...later] = receiver.requests.map(({ at }) => at)
  const gaps = later.map((at, i) => at - (later[i - 1] ?? first))
  expect(gaps).toHaveLength(3)
  for (const [i, least] of [100, 200, 300].entries()) {
    expect(gaps[i]).toBeGreaterThanOrEqual(least - 1)
    expect(gaps[i]).toBeLessThan(least + 95)
  }
  expect(new Set(receiver.requests.map(({ sha256 }) => sha256)).size).toBe(1)
  expect(summary).toMatchObject({
    answers: { 500: 4 },
    redelivered: 3,
    givenUp: 1,
    delivered: 0,
    complete: true,
  })
})

test('a redelivery that is answered with 200 ends the matter', async () => {
  await using receiver = await startReceiver((response) =>
    status(receiver.requests.length < 3 ? 503 : 200)(response),
  )
  const summary = await simulate(oneEvent(receiver.url))
  expect(summary).toMatchObject({ answers: { 503: 2, 200: 1 }, redelivered: 2, givenUp: 0, delivered: 1 })
})

test.each([201, 202, 204, 301, 404])('%i is a failure, since only 200 is a success', async (code) => {
  await using receiver = await startReceiver(status(code))
  expect(await simulate(oneEvent(receiver.url))).toMatchObject({ answers: { [code]: 4 }, givenUp: 1 })
})

test('a receiver that never answers times out, and one that resets is broken', async () => {
  await using silent = await startReceiver(() => {})
  await using resetting = await startReceiver((response) => response.destroy())
  const [timedOut, broken] = await Promise.all([
    simulate(oneEvent(silent.url)),
    simulate(oneEvent(resetting.url)),
  ])
  expect(timedOut).toMatchObject({ answers: { timed_out: 4 }, givenUp: 1 })
  expect(broken).toMatchObject({ answers: { broken: 4 }, givenUp: 1 })
})

test('a receiver that is not there is tried as often', async () => {
  const server = createServer()
  const port = await new Promise<number>((resolve) =>
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
  )
  await new Promise((resolve) => server.close(resolve))
  expect(await simulate(oneEvent(`http://127.0.0.1:${port}`))).toMatchObject({
    answers: { refused: 4 },
    givenUp: 1,
  })
})

test('a stalled receiver does not slow the sender, and the latency counts from the intended time', async () => {
  const stalled = Promise.withResolvers<void>()
  await using receiver = await startReceiver((response) => {
    if (receiver.requests.length === 1) setTimeout(stalled.resolve, 500)
    void stalled.promise.then(() => response.end())
  })
  const options = {
    ...oneEvent(receiver.url),
    ratePerSecond: 100,
    durationMs: 400,
    timeoutMs: 2000,
    connections: 40,
  }
  const summary = await simulate(options)
  expect(receiver.requests.filter(({ at }) => at < (receiver.requests[0]?.at ?? 0) + 480)).toHaveLength(40)
  expect(summary.answers).toEqual({ 200: 40 })
  expect(summary.latencyMs.max).toBeGreaterThan(495)
  expect(summary.latencyMs.p50).toBeGreaterThan(250)
})

test('what the sender itself could not send in time counts from the intended time too', async () => {
  await using receiver = await startReceiver((response) => {
    // Receiver and sender share this thread, so the schedule of both stops.
    if (receiver.requests.length === 1) for (const end = Date.now() + 300; Date.now() < end; );
    response.end()
  })
  const options = { ...oneEvent(receiver.url), ratePerSecond: 100, durationMs: 300, timeoutMs: 2000 }
  const summary = await simulate(options)
  expect(summary.answers).toEqual({ 200: 30 })
  expect(summary.latencyMs.p50).toBeGreaterThan(130)
})

test('a request waits for a connection no longer than the time limit, then has all of it for its answer', async () => {
  await using receiver = await startReceiver(() => {})
  const options = { ...oneEvent(receiver.url), ratePerSecond: 20, durationMs: 300, connections: 2 }
  const summary = await simulate({ ...options, redeliveryMinutes: [] })
  expect(summary).toMatchObject({ answers: { timed_out: 4, no_connection: 2 }, givenUp: 6 })
  expect(receiver.requests).toHaveLength(4)
  // The third was due at 100 ms, had its connection at 300 ms and gave up at 600 ms.
  expect(summary.latencyMs.max).toBeGreaterThan(495)
})

test.each([
  ['duplicates=1', { delivered: 20, duplicates: 20, redelivered: 0, answers: { 200: 40 } }, 40],
  ['late=1', { delivered: 20, redelivered: 20, answers: { 200: 40 } }, 40],
  ['slow=1', { delivered: 20, redelivered: 0, answers: { 200: 20 } }, 20],
  ['reordered=1', { delivered: 20, redelivered: 0, answers: { 200: 20 } }, 20],
])('with %s every event arrives, as often as it was sent', async (mix, expected, received) => {
  await using receiver = await startReceiver(status(200))
  const options = {
    ...oneEvent(receiver.url),
    mix: parseMix(mix),
    ratePerSecond: 200,
    durationMs: 100,
    connections: 40,
    timeoutMs: 2000,
  }
  expect(await simulate(options)).toMatchObject(expected)
  expect(receiver.requests).toHaveLength(received)
})

test('a sender that breaks off delivers later what had not arrived', async () => {
  await using receiver = await startReceiver(status(200))
  const options = {
    ...oneEvent(receiver.url),
    mix: parseMix('aborted=1'),
    ratePerSecond: 400,
    durationMs: 100,
  }
  const summary = await simulate(options)
  expect(summary).toMatchObject({ delivered: 40, redelivered: 40, answers: { 200: 40 } })
  expect(summary.answers.cut).toBeGreaterThan(0)
  expect(summary.answers.hung_up).toBeGreaterThan(0)
  expect(new Set(receiver.requests.map(({ sha256 }) => sha256)).size).toBe(40)
})

test('each credential of an environment is used, in its own form', async () => {
  await using receiver = await startReceiver(status(200))
  const credentials = {
    live: [
      { kind: 'basic', user: 'idwise', password: 'a long password' },
      { kind: 'bearer', token: 'a-long-token' },
      { kind: 'header', name: 'x-webhook-secret', value: 'a long value' },
      { kind: 'none' },
    ],
  } as const
  await simulate({
    ...oneEvent(receiver.url),
    credentials,
    ratePerSecond: 100,
    durationMs: 40,
    connections: 1,
  })
  const sent = receiver.requests.map(({ headers }) => headers.authorization ?? headers['x-webhook-secret'])
  expect(sent).toEqual([
    `Basic ${Buffer.from('idwise:a long password').toString('base64')}`,
    'Bearer a-long-token',
    'a long value',
    undefined,
  ])
})

test('a run that is stopped sends nothing more and says so', async () => {
  await using receiver = await startReceiver((response) => {
    stop.abort()
    status(500)(response)
  })
  const stop = new AbortController()
  const { durationMs: _, ...endless } = oneEvent(receiver.url)
  const summary = await simulate(endless, { signal: stop.signal })
  expect(summary).toMatchObject({ complete: false, unfinished: 1, answers: { 500: 1 } })
})

test.each([
  [{ timeoutMs: 3_000_000_000 }, '--timeout must be at most 2147483 seconds.'],
  [{ timeScale: 0.0001 }, '--time-scale must be at least 0.0005'],
  [{ journeys: 1.5 }, '--journeys must be a whole number, not 1.5.'],
  [{ connections: 2.5 }, '--connections must be a whole number, not 2.5.'],
  [{ journeys: 0 }, '--journeys must be above 0, not 0.'],
  [{ credentials: {} }, 'Set IDWISE_LIVE_CREDENTIALS or those of another source'],
])('refuses %o before it sends anything', async (options, words) => {
  await using receiver = await startReceiver(status(200))
  await expect(simulate({ ...oneEvent(receiver.url), ...options })).rejects.toThrow(words)
  expect(receiver.requests).toEqual([])
})

test('the least time scale that is allowed is one that timers can keep', async () => {
  await using receiver = await startReceiver(status(200))
  const summary = await simulate({ ...oneEvent(receiver.url), timeScale: 0.0005 })
  expect(summary).toMatchObject({ delivered: 1 })
})
