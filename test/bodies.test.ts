import { createHash, randomUUID } from 'node:crypto'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import {
  createWorld,
  type Door,
  eventually,
  openDoor,
  openWorker,
  type PostInit,
  WAYS,
  type World,
} from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const LIMIT = 256 * 1024
const json = (value: unknown) => Buffer.from(JSON.stringify(value))
const journey = (fields: object, event = 'Finished Journey') => json({ event, body: fields })
const withId = (eventId: unknown) => journey({ eventId, journeyId: randomUUID() })
/** A known event whose body is this JSON text, for what JSON.stringify would not write. */
const written = (fields: string) =>
  Buffer.from(`{"event":"Finished Journey","body":{${fields},"journeyId":"${randomUUID()}"}}`)
const nested = (depth: number) => Buffer.from(`${'['.repeat(depth)}${']'.repeat(depth)}`)
const padded = (size: number) => Buffer.from(`"${'x'.repeat(size - 2)}"`)

/** Digits that no index can compress. */
function randomDigits(length: number): string {
  return `1${Array.from({ length }, (_, i) => (Math.imul(i + 7, 2_654_435_761) >>> 13) % 10).join('')}`
}

const finished = (eventId: string) => journey({ eventId })
const ANNOUNCED: PostInit = { headers: { 'content-encoding': 'gzip' } }

type Expected = { kind?: string; event_id?: string | null; hasBody?: boolean; journey_id?: string }
type Case = [name: string, body: Buffer, expected: Expected, init?: PostInit]
const UNREAD: Expected = { kind: 'unrecognised', event_id: null, hasBody: false }
const UNKNOWN: Expected = { kind: 'unrecognised', event_id: null, hasBody: true }
const KNOWN: Expected = { kind: 'finished_journey', hasBody: true }

const IDS: Case[] = [
  ...[undefined, null, '', { a: 1 }, ['a'], true].map(
    (id): Case => [`event id ${JSON.stringify(id)}`, withId(id), { ...KNOWN, event_id: null }],
  ),
  ...[
    '0',
    '5',
    '-5',
    '007',
    '12345678901234567890',
    'meta',
    'delayed',
    'e-1:2:3',
    'constructor',
    '__proto__',
  ].map((id): Case => [`event id "${id}"`, withId(id), { ...KNOWN, event_id: id }]),
  ...['a:b:c', '{x}', ' a b ', 'line\nbreak', `'"\`;--`, 'é'.repeat(128)].map(
    (id): Case => [`event id ${JSON.stringify(id).slice(0, 20)}`, withId(id), { ...KNOWN, event_id: id }],
  ),
  ['event id that is a number', withId(42), { ...KNOWN, event_id: '42' }],
  [
    'event id that is a huge number',
    written('"eventId":98765432109876543210'),
    { ...KNOWN, event_id: '98765432109876543210' },
  ],
  ['event id of 257 bytes', withId('x'.repeat(257)), { ...KNOWN, event_id: null }],
  ['event id of 5,000 bytes', withId('y'.repeat(5_000)), { ...KNOWN, event_id: null }],
  ['event id with NUL', written('"eventId":"a\\u0000b"'), { ...KNOWN, event_id: null }],
  ['event id with half a surrogate pair', written('"eventId":"a\\ud800b"'), { ...KNOWN, event_id: null }],
]

const SHAPES: Case[] = [
  ['nothing', Buffer.alloc(0), UNREAD],
  ['nothing, without content type', Buffer.alloc(0), UNREAD, { headers: { 'content-type': '' } }],
  ...['null', '42', '"x"', 'true', '[]', '{}'].map((text): Case => [text, Buffer.from(text), UNKNOWN]),
  ...['{"event":"Finished', '{"a":1,}', 'NaN', '{}{}', '// no\n{}', '{"event":"X","body":{}}garbage'].map(
    (text): Case => [text, Buffer.from(text), UNREAD],
  ),
  ['an event without body', json({ event: 'Finished Journey' }), UNKNOWN],
  ['an event whose body is null', json({ event: 'Finished Journey', body: null }), UNKNOWN],
  ['an event whose body is a list', json({ event: 'Finished Journey', body: [] }), UNKNOWN],
  ['an event whose name is a number', json({ event: 1, body: { eventId: randomUUID() } }), UNKNOWN],
  [
    'a body that is JSON in a string',
    json({ event: 'Finished Journey', body: '{"eventId":"inner"}' }),
    { ...KNOWN, event_id: 'inner' },
  ],
  ['fields beside event', json({ event: 'Finished Journey', eventId: 'outer' }), UNKNOWN],
  [
    'depth 64',
    Buffer.from(
      `{"event":"Finished Journey","body":{"eventId":"deep","x":${'['.repeat(62)}${']'.repeat(62)}}}`,
    ),
    { ...KNOWN, event_id: 'deep' },
  ],
  ...[65, 5_000, 100_000].map((depth): Case => [`depth ${depth}`, nested(depth), UNREAD]),
  ['20k keys', Buffer.from(`{${Array.from({ length: 20_000 }, (_, i) => `"k${i}":0`).join()}}`), UNKNOWN],
  ['200 kB of {},', Buffer.from(`[${'{},'.repeat(66_000)}{}]`), UNKNOWN],
  ['one string of 200 kB', padded(200_000), UNKNOWN],
  ['50k elements', json(Array.from({ length: 50_000 }, () => 1)), UNKNOWN],
  ['a body of exactly the limit', padded(LIMIT), UNKNOWN],
  ['a body one byte below the limit', padded(LIMIT - 1), UNKNOWN],
]

const BYTES: Case[] = [
  [
    'a byte order mark',
    Buffer.from('\ufeff{"event":"Finished Journey","body":{"eventId":"bom"}}'),
    { ...KNOWN, event_id: 'bom' },
  ],
  ['UTF-16', Buffer.from('{"event":"Finished Journey"}', 'utf16le'), UNREAD],
  [
    'invalid UTF-8 in a string',
    Buffer.concat([Buffer.from('{"event":"'), Buffer.from([0xff, 0xc0]), Buffer.from('"}')]),
    UNREAD,
  ],
  ['every byte', Buffer.from(Array.from({ length: 256 }, (_, i) => i)), UNREAD],
  ['NUL bytes', Buffer.alloc(64), UNREAD],
  ['gzip', gzipSync(finished('gzip')), { ...KNOWN, event_id: 'gzip' }, ANNOUNCED],
  ['gzip that nothing announces', gzipSync(finished('silent')), { ...KNOWN, event_id: 'silent' }],
  ['JSON that is announced as gzip', finished('said'), { ...KNOWN, event_id: 'said' }, ANNOUNCED],
  ['gzip of what is no JSON', gzipSync('no JSON'), UNREAD, ANNOUNCED],
  ['gzip twice', gzipSync(gzipSync(finished('twice'))), UNREAD, ANNOUNCED],
  ['broken gzip', gzipSync(finished('broken')).subarray(0, -9), UNREAD, ANNOUNCED],
  ['gzip of a body of the limit', gzipSync(padded(LIMIT)), UNKNOWN, ANNOUNCED],
  ['gzip of a body one byte above the limit', gzipSync(padded(LIMIT + 1)), UNREAD, ANNOUNCED],
  ['gzip of 100 MB', gzipSync(Buffer.alloc(100_000_000, ' ')), UNREAD, ANNOUNCED],
  [
    'brotli',
    brotliCompressSync('{"event":"Finished Journey"}'),
    UNREAD,
    { headers: { 'content-encoding': 'br' } },
  ],
  [
    'NUL and half surrogate pairs in values and keys',
    written('"eventId":"odd","a\\u0000b":"\\ud800","c":["\\udfff\\u0000"],"ok":"\\ud83d\\ude00"'),
    { ...KNOWN, event_id: 'odd' },
  ],
  [
    'numbers beyond everything',
    written(
      `"eventId":"numbers","a":1e308,"b":1e400,"c":-0,"d":12345678901234567890,"e":${'9'.repeat(100_000)},"f":1e-99999,"g":-1E+999999`,
    ),
    { ...KNOWN, event_id: 'numbers' },
  ],
  [
    '__proto__ and constructor.prototype',
    written(
      '"eventId":"proto","__proto__":{"kind":"x"},"constructor":{"prototype":{"y":1}},"\\u005f_proto__":1',
    ),
    { ...KNOWN, event_id: 'proto' },
  ],
  [
    '__proto__ at the top',
    Buffer.from('{"__proto__":{"event":"Finished Journey"},"body":{"eventId":"x"}}'),
    UNKNOWN,
  ],
  [
    'the same key twice',
    Buffer.from('{"event":"A","event":"Finished Journey","body":{"eventId":"1"},"body":{"eventId":"2"}}'),
    { ...KNOWN, event_id: '2' },
  ],
]

const TEXTS: Case[] = [
  ...[
    'Something New',
    'constructor',
    '__proto__',
    'x'.repeat(10_000),
    '<script>alert(1)</script>',
    `'; drop table events; --`,
    'a\0b',
    '\ud800',
    ' ',
  ].map(
    (event): Case => [
      `event ${JSON.stringify(event).slice(0, 30)}`,
      journey({ eventId: randomUUID() }, event),
      { kind: 'unrecognised', hasBody: true },
    ],
  ),
  ...['stepId', 'trigger', 'action', 'referenceNo', 'systemDecision', 'journeyId'].flatMap((field) =>
    [198, 199, 499, 500].map(
      (length): Case => [
        `a ${field} whose place to be cut lies inside a character, at ${length}`,
        journey({ eventId: `${field}-${length}`, [field]: `${'a'.repeat(length)}\u{1f600}` }),
        { ...KNOWN, event_id: `${field}-${length}` },
      ],
    ),
  ),
  [
    'an event name whose place to be cut lies inside a character',
    journey({ eventId: 'cut-name' }, `${'a'.repeat(199)}\u{1f600}`),
    { kind: 'unrecognised', event_id: 'cut-name', hasBody: true },
  ],
  [
    'a journey id, a reference and decisions that are numbers of 40,000 digits',
    written(
      `"eventId":"digits","referenceNo":${randomDigits(40_000)},"systemDecision":${randomDigits(40_000)}`,
    ),
    { ...KNOWN, event_id: 'digits' },
  ],
  [
    'a journey id of 40,000 digits',
    Buffer.from(
      `{"event":"Finished Journey","body":{"eventId":"journey-digits","journeyId":${randomDigits(40_000)}}}`,
    ),
    { ...KNOWN, event_id: 'journey-digits' },
  ],
  [
    'a reference of 100 kB',
    journey({ eventId: 'long-reference', referenceNo: 'r'.repeat(100_000) }),
    { ...KNOWN, event_id: 'long-reference' },
  ],
  [
    'a journey id of 10 kB in emoji',
    journey({ eventId: 'long-journey', journeyId: '\u{1f600}'.repeat(2_500) }),
    { ...KNOWN, event_id: 'long-journey' },
  ],
  [
    'journey id and reference that are numbers',
    written('"eventId":"numeric","referenceNo":20260117000000000001'),
    { ...KNOWN, event_id: 'numeric' },
  ],
  [
    'decisions of every type',
    journey({ eventId: 'decisions', systemDecision: { a: 1 }, manualDecision: [], finalDecision: 7 }),
    { ...KNOWN, event_id: 'decisions' },
  ],
  [
    'payloads that act in a browser or a shell',
    journey({
      eventId: 'acting',
      referenceNo: '"><img src=x onerror=alert(1)>{{7*7}}=HYPERLINK("x")\u202e\u001b[31m',
    }),
    { ...KNOWN, event_id: 'acting' },
  ],
  [
    'required steps of any kind',
    journey({
      eventId: 'steps',
      requiredSteps: [null, 1, { stepId: 'a\0' }, '\ud800'],
      updatedAMLVersionNumber: '**12**',
    }),
    { ...KNOWN, event_id: 'steps' },
  ],
]

const LABELS: Case[] = [
  ...[
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/vnd.x+json',
    'APPLICATION/JSON',
    'application/json\t; charset=x',
    `a/${'b'.repeat(5_000)}`,
    'nonsense',
    ';;;',
    'multipart/form-data',
  ].map(
    (label, index): Case => [
      `content type ${label.slice(0, 30)}`,
      withId(`label-${index}`),
      { ...KNOWN, event_id: `label-${index}` },
      { headers: { 'content-type': label } },
    ],
  ),
  [
    'a hostile traceparent',
    withId('trace'),
    { ...KNOWN, event_id: 'trace' },
    { headers: { traceparent: `\${jndi:ldap://x}${'0'.repeat(9_000)}` } },
  ],
]

describe.each(WAYS)('with right credentials no body is refused, by the %s', (way) => {
  let world: World
  let door: Door
  const stack = new AsyncDisposableStack()

  beforeAll(async () => {
    world = stack.use(await createWorld(way))
    door = stack.use(await openDoor(world))
    stack.use(await openWorker(world))
  })
  afterAll(() => stack.disposeAsync())

  it.each([...IDS, ...SHAPES, ...BYTES, ...TEXTS, ...LABELS])('%s', async (_name, bytes, expected, init) => {
    const before = Date.now()
    const response = await door.post(bytes as Buffer<ArrayBuffer>, init)

    expect(response.status).toBe(200)
    const sha256 = createHash('sha256').update(bytes).digest()
    const [row] = await eventually(async () => {
      const rows = await world.rows(
        `select *, body is not null as "hasBody" from events where body_sha256 = $1 and received_at >= $2
         union all select *, body is not null from events where body_sha256 = $1 and duplicates > 0`,
        [sha256, new Date(before - 5)],
      )
      return rows.length > 0 && rows
    })
    expect(row).toMatchObject(expected)
    expect(row?.raw).toEqual(bytes)
  })

  it('has made no dead letter of any of them, and polluted nothing', async () => {
    expect(await world.rows('select * from dead_letters')).toEqual([])
    expect(({} as Record<string, unknown>).kind).toBeUndefined()
  })

  it('keeps numbers and texts of the body as exactly as jsonb can', async () => {
    const [row] = await world.rows<{ body: string }>(`select body::text from events where event_id = 'odd'`)
    expect(JSON.parse(row?.body ?? '').body).toMatchObject({
      'a\ufffdb': '\ufffd',
      c: ['\ufffd\ufffd'],
      ok: '\u{1f600}',
    })
    const [numeric] = await world.rows(`select reference_no from events where event_id = 'numeric'`)
    expect(numeric).toEqual({ reference_no: '20260117000000000001' })
  })

  it('a body that is compressed anew for each delivery counts as the same body', async () => {
    const [first, second] = [1, 2].map((hour) => {
      const bytes = gzipSync(finished('anew'))
      bytes.writeUInt32LE(hour * 3_600, 4)
      return bytes as Buffer<ArrayBuffer>
    })
    const answers: unknown[] = []
    const send = async (body: Buffer | undefined) =>
      answers.push(await (await door.post(body as Buffer<ArrayBuffer>)).json())
    await send(first)
    await eventually(async () => (await world.rows(`select from events where event_id = 'anew'`)).length > 0)
    for (const body of [second, finished('anew'), first]) await send(body)

    const [row] = await eventually(async () => {
      const rows = await world.rows(
        `select encode(event_key, 'hex') as id, raw from events where event_id = 'anew' and duplicates = 3`,
      )
      return rows.length > 0 && rows
    })
    expect(answers).toEqual(Array(4).fill({ id: row?.id }))
    expect(row?.raw).toEqual(first)
    expect((await door.post(gzipSync(withId('anew')) as Buffer<ArrayBuffer>)).status).toBe(200)
    await eventually(async () => (await world.rows('select from dead_letters')).length > 0)
    expect(await world.rows('select reason, event_id from dead_letters')).toEqual([
      { reason: 'conflict', event_id: 'anew' },
    ])
  })

  it('event ids are distinct that differ only in normalisation, case or a trailing blank', async () => {
    const ids = ['caf\u00e9', 'cafe\u0301', 'Caf\u00e9', 'caf\u00e9 ']
    for (const id of ids) expect((await door.post(withId(id) as Buffer<ArrayBuffer>)).status).toBe(200)
    const rows = () =>
      world.rows<{ event_id: string }>(`select event_id from events where lower(event_id) like 'caf%'`)
    await eventually(async () => (await rows()).length >= ids.length)
    expect((await rows()).map((row) => row.event_id).sort()).toEqual(ids.sort())
  })
})
