import { gzipSync } from 'node:zlib'
import { type Job, landJobs, replayDeadLetter } from '@sluice/shared/db'
import { encodeRaw } from '@sluice/shared/envelope'
import { identify, parseNames } from '@sluice/shared/idwise'
import { createWorld, eventually, openWorker, type World } from '@sluice/testkit/world'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

let world: World
beforeAll(async () => {
  world = await createWorld('inbox')
  // What Postgres makes of the bytes, null where it refuses them.
  await world.rows(`create function as_sent(raw bytea) returns jsonb language plpgsql as
    $$ begin return convert_from(raw, 'UTF8')::jsonb; exception when data_exception then return null; end $$`)
})
afterAll(() => world[Symbol.asyncDispose]())

let deliveries = 0

function jobOf(raw: Buffer, encoded: ReturnType<typeof encodeRaw> = encodeRaw(raw)): Job {
  const at = Date.now()
  return {
    jobId: identify('live', raw, parseNames(raw), at).jobId,
    envelope: { v: 1, env: 'live', at, deliveryId: `s${deliveries++}`, ...encoded },
    via: 'inbox',
    duplicates: 0,
    replayOf: null,
  }
}

function land(deliveries: readonly Job[], options: { withoutBody?: boolean } = {}) {
  return world.db.landingTransaction((connection, now) =>
    landJobs(connection, deliveries, { ...options, now }),
  )
}

const eventOf = (eventId: string, document: string) =>
  `{"event":"Finished Journey","body":{"eventId":"${eventId}","document":${document}}}`

/** The stored body as text, and what Postgres makes of the bytes. */
async function bodyOf(eventId: string): Promise<{ body: string | null; sent: string | null }> {
  const [row] = await world.rows<{ body: string | null; sent: string | null }>(
    `select body->'body'->'document'#>>'{}' as body, as_sent(raw)->'body'->'document'#>>'{}' as sent
      from events where event_id = $1`,
    [eventId],
  )
  return row as NonNullable<typeof row>
}

const digits = fc
  .tuple(fc.constantFrom(1, 2, 3, 17, 400, 1_001, 6_385, 16_383, 16_384, 20_000, 131_073), fc.string())
  .map(([length, seed]) => seed.replace(/\D/g, '').concat('7209').repeat(length).slice(0, length))
const whole = digits.map((text) => text.replace(/^0+(?=\d)/, ''))
const exponent = fc
  .tuple(
    fc.constantFrom('e', 'E'),
    fc.constantFrom('', '+', '-'),
    fc.constantFrom('0', '5', '00005', '308', '400', '9999', '16382', '16383', '16384', '131070', '131071'),
  )
  .map((parts) => parts.join(''))
const anyExponent = fc.oneof(
  { weight: 4, arbitrary: exponent },
  {
    weight: 1,
    arbitrary: fc.constantFrom('e131072', 'E-99999', 'e1073741822', 'e1073741824', `e-${'9'.repeat(30)}`),
  },
)
const number = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(fc.constantFrom('0', '1', '10'), whole),
    fc.option(fc.oneof(fc.constantFrom('0', '10', '000'), digits), { nil: undefined }),
    fc.option(anyExponent, { nil: '' }),
  )
  .map(([sign, int, fraction, exp]) => `${sign}${int}${fraction === undefined ? '' : `.${fraction}`}${exp}`)

const piece = fc.oneof(
  fc.constantFrom(
    ...String.raw`\" \\ \/ \b \f \n \r \t \u0000 \u0041 \\u0000 \ud83d\ude00 \uD83D\uDE00`.split(' '),
  ),
  fc.constantFrom(
    ...String.raw`\ud800 \uDBFF \udc00 \uDFff \ud7ff \ue000 \uffff \u001F \uD83d \udE00`.split(' '),
  ),
  fc.string({ unit: 'binary', maxLength: 3 }).map((text) => JSON.stringify(text.toWellFormed()).slice(1, -1)),
  fc.constantFrom('1e999999', '\u{1f600}', ',-1e131072', 'u0000', 'd83d', '\u007f', '\u2028'),
)
const text = fc.array(piece, { maxLength: 6 }).map((pieces) => `"${pieces.join('')}"`)
const blank = fc.constantFrom('', '', ' ', '\n', '\t\r\n ')

const { document } = fc.letrec<{ document: string; list: string; object: string }>((tie) => ({
  list: fc.array(tie('document'), { maxLength: 3 }).map((items) => `[${items.join()}]`),
  object: fc
    .array(fc.tuple(fc.oneof(fc.constantFrom('"a"', '"b"', '"\\u0061"'), text), tie('document')), {
      maxLength: 3,
    })
    .map((pairs) => `{${pairs.map(([key, value]) => `${key}:${value}`).join()}}`),
  document: fc
    .tuple(
      blank,
      fc.oneof(
        { depthSize: 'small' },
        fc.oneof(number, number, text, text, fc.constantFrom('true', 'false', 'null')),
        tie('list'),
        tie('object'),
      ),
      blank,
    )
    .map((parts) => parts.join('')),
}))
const mark = fc.oneof(
  { weight: 9, arbitrary: fc.constant('') },
  fc.constantFrom('\ufeff', '\ufeff\ufeff', '\0'),
)
const sent = fc
  .tuple(mark, document, fc.boolean())
  .map(([before, inner, isEvent]) => {
    const eventId = `generated-${deliveries++}`
    return before + (isEvent ? eventOf(eventId, inner) : inner)
  })
  .filter((body) => Buffer.byteLength(body) <= 256 * 1024)

function isJson(text: string): boolean {
  try {
    JSON.parse(text.replace(/^\ufeff/, ''))
    return true
  } catch {
    return false
  }
}

describe('what is stored of a body', () => {
  it('is what Postgres makes of its bytes, or, where it refuses them, of the document without what it refuses', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(sent, fc.constantFrom('text', 'bytes', 'gzip')), { minLength: 5, maxLength: 10 }),
        async (given) => {
          await world.rows('truncate events')
          const bodies = given.map(([text, form]) => {
            const plain = Buffer.from(text)
            const raw = form === 'gzip' ? gzipSync(plain) : plain
            const encoded = form === 'text' ? encodeRaw(raw) : { raw64: raw.toString('base64') }
            return { text, plain, raw, encoded }
          })

          await land(bodies.map(({ raw, encoded }) => jobOf(raw, encoded)))

          for (const { text, plain, raw } of bodies) {
            const [row] = await world.rows(
              `select raw, body::text, body_sha256 = sha256(raw) as hashed, as_sent($2)::text as sent
                from events where body_sha256 = sha256($1)`,
              [raw, plain],
            )
            expect(row?.raw).toEqual(raw)
            expect(row?.hashed).toBe(true)
            if (row?.sent !== null) expect(row?.body).toBe(row?.sent)
            else expect(row?.body !== null).toBe(isJson(text))
          }
        },
      ),
      { numRuns: 60 },
    )
  }, 60_000)

  it.each([
    ['an escaped NUL', String.raw`"a\u0000b"`, 'a\ufffdb'],
    ['one behind an escaped backslash', String.raw`"\\\u0000\\u0000"`, '\\\ufffd\\u0000'],
    ['halves of surrogate pairs', String.raw`"\ud83d\ud83d\ude00\ude00"`, '\ufffd\u{1f600}\ufffd'],
    ['a number that is too large', '[1e131072,98765432109876543210.10]', '[null, 98765432109876543210.10]'],
    ['one that is too fine', '[25.5e-16384,1e-20000,-1e-9]', '[0.(16382 zeros)2, 0, -0.000000001]'],
    ['a zero that is too fine', '[0e-16384,0.0,0e1073741824]', '[0, 0.0, 0]'],
  ])('differs from what was sent by %s alone', async (name, document, kept) => {
    await land([jobOf(Buffer.from(eventOf(name, document)))])

    const { body, sent } = await bodyOf(name)
    expect(body?.replaceAll(/0{100,}/g, (zeros) => `(${zeros.length} zeros)`)).toBe(kept)
    expect(sent).toBeNull()
  })

  it('can be read again, however many digits its numbers would have', async () => {
    const numbers = (count: number) => `[1.5,${Array.from({ length: count }, () => '1e131071').join()}]`
    await land([
      jobOf(Buffer.from(eventOf('hundred', numbers(100)))),
      jobOf(Buffer.from(eventOf('thousands', numbers(29_000)))),
    ])

    const hundred = await bodyOf('hundred')
    expect(hundred.body).toBe(hundred.sent)
    const [row] = await world.rows(
      `select body->'body'->'document' as read from events where event_id = 'thousands'`,
    )
    expect(row?.read).toEqual([1.5, ...Array(29_000).fill(null)])
  })

  it('is written by JavaScript where Postgres refuses it as it was sent, and nothing where it refuses that too', async () => {
    await world.rows(
      `alter table events add constraint refused check (body::text not similar to '%(1.500|poison)%')`,
    )
    const given = ['rewritten', 'left-out'].map((eventId, index) =>
      jobOf(Buffer.from(eventOf(eventId, ['1.500', '"poison"'][index] as string))),
    )
    for (const delivery of given) {
      await expect(land([delivery])).rejects.toThrow('refused')
      expect(await land([delivery], { withoutBody: true })).toEqual(['landed'])
    }
    await world.rows('alter table events drop constraint refused')

    expect(await bodyOf('rewritten')).toEqual({ body: '1.5', sent: '1.500' })
    expect(await bodyOf('left-out')).toEqual({ body: null, sent: 'poison' })
  })

  it('is the same when it lands by a replay', async () => {
    const exact = '[1e400, 1.10, "\\ud83d\\ude00", {"a":1,"a":-0.0}]'
    await land([jobOf(Buffer.from(eventOf('replayed', 'null')))])
    await land([jobOf(Buffer.from(eventOf('replayed', exact)))])
    await world.rows(`delete from events where event_id = 'replayed'`)
    const [letter] = await world.rows<{ id: string }>('select id from dead_letters')
    await using _worker = await openWorker(world)

    await replayDeadLetter(world.db, { id: Number(letter?.id), actor: 'test' })
    await eventually(async () => (await world.rows(`select from events where via = 'replay'`)).length > 0)

    const { body, sent } = await bodyOf('replayed')
    expect(body).toBe(sent)
    expect(body).toContain('1.10')
  })
})
