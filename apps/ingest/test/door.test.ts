import { startIngest } from '@sluice/ingest'
import { createLog, createMetrics, serveMetrics } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { exchange } from '@sluice/testkit/raw-http'
import {
  createWorld,
  type Door,
  eventually,
  LIVE_TOKEN,
  openDoor,
  openWorker,
  SANDBOX_TOKEN,
  type World,
} from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const PATH = '/webhooks/idwise/live'
const RIGHT = { authorization: `Bearer ${LIVE_TOKEN}` }
const LIMIT = 256 * 1024
const BASIC = Buffer.from('us er:p:ä%ss word of the tests').toString('base64')
/** The bytes of a text, each as one character, as a header has them. */
const latin1 = (text: string) => Buffer.from(text).toString('latin1')

describe('the door', () => {
  let world: World
  let door: Door
  let port: number
  const stack = new AsyncDisposableStack()

  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    door = stack.use(
      await openDoor(world, {
        credentials: {
          live: [
            { kind: 'bearer', token: LIVE_TOKEN },
            { kind: 'bearer', token: 'the-next-token-of-the-rotation' },
            { kind: 'basic', user: 'us er', password: 'p:ä%ss word of the tests' },
            { kind: 'header', name: 'x-idwise-key', value: 'a-key-in-a-header-of-its-own' },
            { kind: 'bearer', token: 'a-token-that-ends-in-à' },
          ],
          sandbox: [{ kind: 'bearer', token: SANDBOX_TOKEN }],
        },
      }),
    )
    port = Number(new URL(door.url).port)
  })
  afterAll(() => stack.disposeAsync())

  const send = (headers: Record<string, string>, path = PATH, method = 'POST') =>
    fetch(`${door.url}${path}`, {
      method,
      headers,
      ...(method === 'POST' && { body: finishedJourney().bytes }),
    })
  const raw = (head: string, body: string | Buffer = '', options = {}) =>
    exchange(port, [`${head}\r\n\r\n`, ...(body.length > 0 ? [body] : [])], options)
  const stored = async () => (await world.rows<{ n: number }>('select count(*)::int as n from inbox'))[0]?.n

  it.each([
    ['bearer', RIGHT],
    ['bearer, written otherwise', { authorization: `bEaReR   ${LIVE_TOKEN}` }],
    ['the second of two bearers', { authorization: 'Bearer the-next-token-of-the-rotation' }],
    ['basic', { authorization: `Basic ${BASIC}` }],
    ['a token that ends in the byte of a blank', { authorization: latin1('Bearer a-token-that-ends-in-à') }],
    ['basic without its padding', { authorization: `Basic ${BASIC.replace(/=+$/, '')}` }],
    ['a custom header', { 'X-IDWise-Key': 'a-key-in-a-header-of-its-own' }],
  ])('lets in with %s', async (_name, headers) => {
    expect((await send(headers)).status).toBe(200)
  })

  it('gives one identical 401 for every wrong credential, and stores nothing', async () => {
    const before = await stored()
    const wrong: Record<string, string>[] = [
      {},
      { authorization: '' },
      { authorization: 'Bearer' },
      { authorization: 'Bearer ' },
      { authorization: LIVE_TOKEN },
      { authorization: `Bearer ${LIVE_TOKEN.replace('l', 'L')}` },
      { authorization: `Bearer ${LIVE_TOKEN.slice(1)}` },
      { authorization: `Bearer ${LIVE_TOKEN}x` },
      { authorization: `Bearer ${LIVE_TOKEN}\xa0` },
      { authorization: `Basic ${BASIC}, Bearer x` },
      { authorization: `Basic ${BASIC}====` },
      { authorization: `Basic ${BASIC.slice(0, 4)}!@#${BASIC.slice(4)}` },
      { authorization: `Bearer ${'x'.repeat(10_000)}` },
      { authorization: `Basic ${LIVE_TOKEN}` },
      { authorization: `Basic ${Buffer.from('us er').toString('base64')}` },
      { authorization: `Bearer ${SANDBOX_TOKEN}` },
      { 'x-idwise-key': LIVE_TOKEN },
      { 'x-idwise-key': '' },
    ]
    const answers = await Promise.all(wrong.map((headers) => send(headers)))
    answers.push(await send({}, `${PATH}?authorization=Bearer%20${LIVE_TOKEN}`))
    const seen = await Promise.all(
      answers.map(
        async (answer) => `${answer.status} ${await answer.text()} ${answer.headers.get('www-authenticate')}`,
      ),
    )
    expect(new Set(seen)).toEqual(
      new Set(['401 {"error":"unauthorised"} Basic realm="sluice", Bearer realm="sluice"']),
    )
    expect(await stored()).toBe(before)
  })

  it.each([
    ['good first', [LIVE_TOKEN, 'something-else']],
    ['bad first', ['something-else', LIVE_TOKEN]],
    ['both good', [LIVE_TOKEN, LIVE_TOKEN]],
  ])('refuses two Authorization headers, %s', async (_name, tokens) => {
    const headers = tokens.map((token) => `Authorization: Bearer ${token}`).join('\r\n')
    const { statuses } = await raw(
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\n${headers}\r\nContent-Length: 2`,
      '{}',
    )
    expect(statuses).toEqual([401])
  })

  it('refuses a second header with the name of the one that has the credential', async () => {
    const { statuses } = await raw(
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nX-IDWise-Key: a-key-in-a-header-of-its-own\r\nX-IDWise-Key: x\r\nContent-Length: 2`,
      '{}',
    )
    expect(statuses).toEqual([401])
  })

  it('answers every request of a connection, however many are sent ahead', async () => {
    const request = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${LIVE_TOKEN}\r\nContent-Length: 2\r\n\r\n{}`
    const last = request.replace('Host: x', 'Host: x\r\nConnection: close')
    const { text } = await exchange(port, [request.repeat(1_099), last], { limitMs: 25_000 })
    // A machine that is busy with other work answers some of them 503.
    expect(text.match(/HTTP\/1\.1 (200|503)/g)).toHaveLength(1_100)
  }, 30_000)

  it('answers bytes that are no HTTP with a JSON body too', async () => {
    const { text } = await exchange(port, ['nonsense\r\n\r\n'])
    expect(text).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n.*\r\n\r\n\{"error":"bad_request"\}$/s)
  })

  it('answers GET and HEAD with right credentials by 200 without effect, with wrong ones by 401', async () => {
    const before = await stored()
    for (const method of ['GET', 'HEAD']) {
      const answer = await send(RIGHT, PATH, method)
      expect([answer.status, await answer.text()]).toEqual([200, ''])
      expect((await send({}, PATH, method)).status).toBe(401)
    }
    expect(await stored()).toBe(before)
  })

  it.each(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'])('answers %s by 405', async (method) => {
    const { text, statuses } = await raw(`${method} ${PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0`)
    expect(statuses).toEqual([405])
    expect(text).toMatch(/allow: GET, HEAD, POST/i)
  })

  it.each([
    '/',
    '/webhooks',
    '/webhooks/idwise',
    `${PATH}/`,
    `/${PATH}`,
    '/webhooks//idwise/live',
    '/webhooks/idwise/LIVE',
    '/webhooks/idwise/live/..%2f..',
    '/webhooks/idwise/live%00',
    `${PATH};a=1`,
    '/webhooks/idwise/lïve',
    `/${'a'.repeat(8_000)}`,
    '/%',
    '/metrics',
  ])('does not know the path %.40s', async (path) => {
    const { statuses } = await raw(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${LIVE_TOKEN}\r\nContent-Length: 2`,
      '{}',
    )
    expect([400, 404, 414]).toContain(statuses[0])
  })

  it.each([
    ['known by its length', LIMIT, LIMIT + 1, false],
    ['sent in chunks', LIMIT, LIMIT + 1, true],
  ])('takes a body up to the limit and refuses one byte more, %s', async (_name, fits, tooLarge, chunked) => {
    for (const [size, status] of [
      [fits, 200],
      [tooLarge, 413],
    ] as const) {
      const body = Buffer.alloc(size, 'x')
      const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${size}`
      const payload = chunked
        ? Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')])
        : body
      const { statuses } = await raw(
        `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${LIVE_TOKEN}\r\n${framing}`,
        payload,
      )
      expect(statuses).toEqual([status])
    }
  })

  it('lets a client that waits for it send its body only with right credentials and a size that fits', async () => {
    const head = (token: string, size: number) =>
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nExpect: 100-continue\r\nContent-Length: ${size}`
    expect((await raw(head(LIVE_TOKEN, 2))).statuses).toEqual([100])
    expect((await raw(head(LIVE_TOKEN, 2), '{}')).statuses).toEqual([100, 200])
    expect((await raw(head('a-wrong-token-of-this-test', 2))).statuses).toEqual([401])
    expect((await raw(head(LIVE_TOKEN, LIMIT + 1))).statuses).toEqual([413])
    const other = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${LIVE_TOKEN}\r\nExpect: else\r\nContent-Length: 2`
    expect((await raw(other, '{}')).statuses).toEqual([200])
  })

  it('answers a client that closes its side after the request', async () => {
    const { statuses } = await exchange(
      port,
      [
        `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${LIVE_TOKEN}\r\nContent-Length: 2\r\n\r\n{}`,
      ],
      { halfClose: true },
    )
    expect(statuses).toEqual([200])
  })

  it.each([
    ['content length and chunks', 'Content-Length: 2\r\nTransfer-Encoding: chunked', '2\r\n{}\r\n0\r\n\r\n'],
    ['two lengths', 'Content-Length: 2\r\nContent-Length: 3', '{}'],
    ['a folded header', 'X-A: b\r\n c: d\r\nContent-Length: 2', '{}'],
    ['a bad chunk size', 'Transfer-Encoding: chunked', 'zz\r\n{}\r\n0\r\n\r\n'],
    ['a length that is no number', 'Content-Length: -2', '{}'],
    ['NUL in a header', 'X-A: b\0c\r\nContent-Length: 2', '{}'],
    ['a 20 kB header', `X-A: ${'b'.repeat(20_000)}\r\nContent-Length: 2`, '{}'],
    [
      '200 headers',
      `${Array.from({ length: 200 }, (_, i) => `X-${i}: y`).join('\r\n')}\r\nContent-Length: 2`,
      '{}',
    ],
  ])('refuses a message with %s', async (_name, headers, body) => {
    const before = await stored()
    const { statuses } = await raw(
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${LIVE_TOKEN}\r\n${headers}`,
      body,
    )
    expect([400, 408, 431]).toContain(statuses[0])
    expect(await stored()).toBe(before)
  })

  it.each([
    ['no Host', `POST ${PATH} HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}`],
    ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a PROXY line', 'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\r\n'],
    ['a TLS hello', Buffer.from('16030100a5010000a10303', 'hex')],
  ])('answers %s by 400 or closes', async (_name, bytes) => {
    const { statuses, closed } = await exchange(port, [bytes])
    expect(statuses[0] === 400 || closed).toBe(true)
  })

  it('answers HTTP/1.0, and a request to upgrade, like any other', async () => {
    const auth = `Host: x\r\nAuthorization: Bearer ${LIVE_TOKEN}\r\nContent-Length: 2`
    expect((await raw(`POST ${PATH} HTTP/1.0\r\n${auth}`, '{}')).statuses).toEqual([200])
    const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket'
    expect((await raw(`POST ${PATH} HTTP/1.1\r\n${auth}\r\n${upgrade}`, '{}')).statuses).toEqual([200])
  })

  it('closes a connection that trickles its body, or sends less than it announced', async () => {
    const began = Date.now()
    const head = `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${LIVE_TOKEN}\r\nContent-Length: 1000\r\n\r\n`
    const trickle = exchange(port, [head, ...Array(200).fill('x')], { betweenMs: 100, limitMs: 30_000 })
    const short = exchange(port, [head, 'x'], { limitMs: 30_000 })
    for (const { statuses, closed } of await Promise.all([trickle, short])) {
      expect(statuses.concat(408)[0]).toBe(408)
      expect(closed).toBe(true)
    }
    expect(Date.now() - began).toBeLessThan(20_000)
  }, 40_000)

  it('says whether it is alive and ready', async () => {
    expect((await fetch(`${door.url}/livez`)).status).toBe(200)
    const ready = await fetch(`${door.url}/readyz`)
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, postgres: 'up' }])
  })

  it('keeps only the connections of IDWise', async () => {
    const post = (token: string) =>
      `POST ${PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 2\r\n\r\n{}`
    const wrong = await exchange(port, [post('a-wrong-token-of-this-test')])
    const probe = await exchange(port, ['GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'])
    const sender = await exchange(port, [post(LIVE_TOKEN), 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'])
    expect([wrong.statuses, wrong.closed, probe.statuses, probe.closed]).toEqual([[401], true, [200], true])
    expect([sender.text.match(/HTTP\/1\.1 200/g)?.length, sender.closed]).toEqual([2, false])
  })
})

describe('the door behind a proxy', () => {
  it('believes X-Forwarded-For only of trusted proxies, and lets in only allowed addresses', async () => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld('inbox'))
    const open = async (trustedProxies: string[], live: string[]) =>
      stack.use(await openDoor(world, { trustedProxies, allowedIps: { live } }))
    const trusting = await open(['127.0.0.0/8'], ['203.0.113.0/24', '2001:db8::/32'])
    const wary = await open([], ['203.0.113.0/24'])
    const status = async (door: Door, from: string) =>
      (await door.post('{}', { headers: { 'x-forwarded-for': from } })).status

    expect(await status(trusting, '203.0.113.9')).toBe(200)
    expect(await status(trusting, '2001:db8::1')).toBe(200)
    expect(await status(trusting, '198.51.100.1')).toBe(401)
    expect(await status(trusting, '203.0.113.9, 198.51.100.1')).toBe(401)
    expect(await status(wary, '203.0.113.9')).toBe(401)
    // Some proxies add the port.
    expect(await status(trusting, '203.0.113.9:5678')).toBe(200)
    expect(await status(trusting, '[2001:db8::1]:5678')).toBe(200)
  })

  it('accepts an event whose proxy names a text that is no address, and a worker can read it', async () => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld('inbox'))
    const door = stack.use(await openDoor(world, { trustedProxies: ['127.0.0.0/8'] }))
    stack.use(await openWorker(world))
    const { bytes } = finishedJourney()
    const answer = await door.post(bytes as Buffer<ArrayBuffer>, {
      headers: { 'x-forwarded-for': 'z'.repeat(100) },
    })
    expect(answer.status).toBe(200)
    const zoned = { headers: { 'x-forwarded-for': `fe80::1%${'a'.repeat(100)}` } }
    expect((await door.post(finishedJourney().bytes as Buffer<ArrayBuffer>, zoned)).status).toBe(200)
    const rows = await eventually(async () => {
      const landed = await world.rows(
        `select request->>'sourceAddress' as address from events order by received_at`,
      )
      return landed.length === 2 && landed
    })
    expect(rows).toEqual([{ address: null }, { address: 'fe80::1' }])
  })

  it('lets everybody in if the credential is none', async () => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld('inbox'))
    const door = stack.use(
      await openDoor(world, {
        credentials: { live: [{ kind: 'none' }], sandbox: [{ kind: 'bearer', token: SANDBOX_TOKEN }] },
      }),
    )
    expect((await fetch(`${door.url}${PATH}`, { method: 'POST', body: '{}' })).status).toBe(200)
    expect((await fetch(`${door.url}/webhooks/idwise/sandbox`, { method: 'POST', body: '{}' })).status).toBe(
      401,
    )
  })
})

describe('the door and wrong credentials', () => {
  it('counts those of known senders apart: of their addresses, users and headers, but no stranger', async () => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld('inbox'))
    const metrics = createMetrics()
    const ingest = stack.use(
      await startIngest(
        {
          ...world.ingestConfig,
          trustedProxies: ['127.0.0.0/8'],
          credentials: {
            live: [
              { kind: 'bearer', token: LIVE_TOKEN },
              { kind: 'basic', user: 'idwise-user', password: 'a-password-of-this-test' },
              { kind: 'header', name: 'x-idwise-key', value: 'a-key-in-a-header-of-its-own' },
            ],
          },
        },
        { log: createLog('test', 'silent'), metrics },
      ),
    )
    const status = async (from: string, headers: Record<string, string>) => {
      const url = `http://127.0.0.1:${ingest.port}${PATH}`
      return (await fetch(url, { headers: { 'x-forwarded-for': from, ...headers } })).status
    }
    const known = async () => (await metrics.wrongSecrets.get()).values[0]?.value ?? 0
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
    const wrong = { authorization: 'Bearer a-wrong-token-of-this-test' }
    for (const headers of [{}, wrong, basic('stranger:guess'), basic('idwise-user')]) {
      expect(await status('198.51.100.1', headers)).toBe(401)
    }
    expect(await known()).toBe(0)
    expect(await status('198.51.100.1', basic('idwise-user:another-password'))).toBe(401)
    expect(await status('198.51.100.1', { 'x-idwise-key': 'another-key' })).toBe(401)
    expect(await known()).toBe(2)
    expect(await status('203.0.113.9', RIGHT)).toBe(200)
    expect(await status('203.0.113.9', wrong)).toBe(401)
    expect(await known()).toBe(3)
  })

  it('answers 429 after many of them, and accepts right ones from the same address all the same', async () => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld('inbox'))
    const door = stack.use(await openDoor(world))
    const wrong = () => door.post('{}', { headers: { authorization: 'Bearer a-wrong-token-of-this-test' } })
    const answers = await Promise.all(Array.from({ length: 150 }, wrong))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401, 429]))
    const last = await eventually(async () => {
      const answer = await wrong()
      return answer.status === 429 && answer
    })
    expect([await last.json(), last.headers.get('retry-after')]).toEqual([
      { error: 'too_many_requests' },
      '1',
    ])
    expect((await door.post('{}')).status).toBe(200)
  })
})

describe('the state of the stores', () => {
  it('is ready, up and down in public, and in detail on the port of the metrics', async () => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld('inbox'))
    const url = new URL(world.databaseUrl)
    url.pathname = '/there_is_no_such_database'
    const ingest = stack.use(
      await startIngest(
        { ...world.ingestConfig, databaseUrl: url.href },
        { log: createLog('test', 'fatal'), metrics: createMetrics() },
      ),
    )
    await eventually(() => String(ingest.health().postgres).includes('there_is_no_such_database'))
    const internal = stack.use(
      await serveMetrics({ host: '127.0.0.1', port: 0 }, createMetrics(), ingest.health),
    )
    const ask = async (port: number) => {
      const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
      return [answer.status, await answer.json()]
    }
    expect(await ask(ingest.port)).toEqual([503, { ready: false, postgres: 'down' }])
    expect(await ask(internal.port)).toEqual([
      503,
      expect.objectContaining({ postgres: expect.stringContaining('there_is_no_such_database') }),
    ])
  })
})

describe('the door without a store', () => {
  it('answers 503 with Retry-After at once, is not ready, and works again once a store does', async () => {
    await using stack = new AsyncDisposableStack()
    const world = stack.use(await createWorld('inbox'))
    const door = stack.use(await openDoor(world))
    await world.rows('alter table inbox rename to inbox_away')

    const began = Date.now()
    const answer = await door.post(finishedJourney().bytes as Buffer<ArrayBuffer>)

    expect(answer.status).toBe(503)
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(Date.now() - began).toBeLessThan(2_500)
    await world.rows('alter table inbox_away rename to inbox')
    expect((await door.post(finishedJourney().bytes as Buffer<ArrayBuffer>)).status).toBe(200)
  })
})
