import { execFileSync } from 'node:child_process'
import { gzipSync } from 'node:zlib'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseExact, writeExact } from '../src/idwise/index.ts'
import { curlLine } from '../src/operations/find/curl-line.ts'
import {
  actOnDeadLetters,
  checkEventReceipt,
  type EventPage,
  getDeadLetter,
  readEventPage,
  type Stores,
  search,
  writeEventReceipt,
} from '../src/operations/index.ts'

/** Keys twice, digits beyond a double, markup, and what a shell would run. */
const HOSTILE = `{"event":"Finished Step","body":{"eventId":"odd","journeyId":"J-1","n":12345678901234567890,"n":1.10,
  "x":"</pre><script>alert(1)</script> '$(id)' \`id\` \\u0000"}}`

describe('the page of an event', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let stores: Stores
  const keys: Record<string, string> = {}
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    stores = { db: world.db, queue: undefined, location: undefined }
    const door = stack.use(await openDoor(world))
    const worker = await openWorker(world)
    const post = async (name: string, body: string | Buffer) => {
      const answer = await door.post(body)
      keys[name] = ((await answer.json()) as { id: string }).id
    }
    const landed = (n: number) =>
      eventually(async () => {
        const sql =
          'select (select count(*) from events)::int + (select count(*) from dead_letters)::int as n'
        return (await world.rows<{ n: number }>(sql))[0]?.n === n
      })
    const finished = (systemDecision: string, more = {}) =>
      JSON.stringify({
        event: 'Finished Journey',
        body: { eventId: 'end', journeyId: 'J-1', systemDecision, ...more },
      })
    await post('odd', HOSTILE)
    await landed(1)
    await post('end', finished('Complete'))
    await landed(2)
    await post('end', finished('Complete'))
    await post('conflict', finished('Refer'))
    await landed(3)
    await post('zipped', gzipSync(JSON.stringify({ event: 'Finished Step', body: { eventId: 'zip' } })))
    await landed(4)
    await eventually(async () => (await world.rows('select from events where duplicates = 1')).length === 1)
    await worker[Symbol.asyncDispose]()
    await post('late', JSON.stringify({ event: 'Finished Step', body: { eventId: 'late' } }))
    await world.rows(
      `insert into refusals values ($1, 'live', 'Finished Journey', 'end', 'J-1', null,
      now() - interval '10 minutes', now() - interval '5 minutes', 2)`,
      [Buffer.from(keys.end as string, 'hex')],
    )
    await Array.fromAsync(actOnDeadLetters(world.db, 'discard', { ids: [1], actor: 'Ada', reason: 'known' }))
  })
  afterAll(() => stack.disposeAsync())

  async function pageOf(key: string): Promise<EventPage> {
    const page = await readEventPage(stores, key)
    if (page.kind !== 'event') throw new Error(page.kind)
    return page
  }

  it('tells what happened in the order of time, with refusals, duplicates, dead letters and what people did', async () => {
    const { timeline, letters } = await pageOf(keys.end as string)
    expect(timeline.map(({ what }) => what)).toEqual([
      'refused',
      'refused',
      'received',
      'queued',
      'landed',
      'failed',
      'act',
      'duplicates',
    ])
    expect(timeline.every(({ sinceMs }) => sinceMs === null || sinceMs >= 0)).toBe(true)
    expect(timeline[0]?.sinceMs).toBeNull()
    expect(timeline[2]?.sinceMs).toBeGreaterThan(200_000)
    expect(timeline.map(({ words }) => words)).toContain('Ada: discard of dead letter 1 (known)')
    expect(letters).toMatchObject([{ id: 1, reason: 'conflict', state: 'discarded' }])
  })

  it('shows every digit and key as sent, and the exact bytes with their hash', async () => {
    const { event, body } = await pageOf(keys.odd as string)
    expect(event?.raw.equals(Buffer.from(HOSTILE))).toBe(true)
    expect(body).toMatchObject({ isIntact: true, isCompressed: false, text: HOSTILE })
    expect(body?.pretty).toContain('"n": 12345678901234567890,\n    "n": 1.10,')
    expect(writeExact(parseExact(body?.pretty as string) as never)).toBe(
      writeExact(parseExact(HOSTILE) as never),
    )
    expect((await pageOf(keys.zipped as string)).body).toMatchObject({
      isCompressed: true,
      pretty: expect.stringContaining('"zip"'),
    })
  })

  it('names exactly what differs from the event of its journey that was received before', async () => {
    const { previous } = await pageOf(keys.end as string)
    expect(previous?.eventKey).toBe(keys.odd)
    expect(previous?.changes).toEqual([
      { path: 'event', before: '"Finished Step"', after: '"Finished Journey"' },
      { path: 'body.eventId', before: '"odd"', after: '"end"' },
      { path: 'body.systemDecision', before: null, after: '"Complete"' },
      { path: 'body.n', before: '12345678901234567890', after: null },
      { path: 'body.n (key 2)', before: '1.10', after: null },
      { path: 'body.x', before: expect.stringContaining('script'), after: null },
    ])
    expect((await pageOf(keys.odd as string)).previous).toBeNull()
  })

  it('finds an event that waits, and says what is not here and what is no key', async () => {
    const late = await pageOf(keys.late as string)
    expect([late.event, late.waiting?.where]).toEqual([null, 'inbox'])
    expect(late.timeline.map(({ what }) => what)).toEqual(['received', 'queued', 'waiting'])
    expect(await readEventPage(stores, 'ab'.repeat(32))).toEqual({ kind: 'not_here' })
    const alike = `${(keys.end as string).slice(0, 32)}${'0'.repeat(32)}`
    expect(await readEventPage(stores, alike)).toEqual({ kind: 'not_here' })
    for (const key of ['', 'x', '../x', 'ab'.repeat(31)])
      expect(await readEventPage(stores, key)).toEqual({ kind: 'no_key' })
  })

  it('says of an event that is gone why it is', async () => {
    await using copy = await createWorld('inbox', { template: world })
    await copy.rows('delete from events')
    const there = { ...stores, db: copy.db }
    const page = (await readEventPage(there, keys.odd as string)) as EventPage
    expect([page.event, page.gone?.because]).toEqual([null, 'missing'])
    await copy.rows('update event_keys set n = null')
    const erased = (await readEventPage(there, (keys.odd as string).slice(0, 32))) as EventPage
    expect(erased.timeline).toMatchObject([{ what: 'gone', words: expect.stringContaining('erased') }])
    expect(await search(there, 'odd')).toMatchObject({ status: 'gone', place: { page: 'event' } })
  })

  it('has a receipt that agrees with itself, until a byte of it is changed', async () => {
    const { event } = await pageOf(keys.odd as string)
    const receipt = JSON.stringify(writeEventReceipt(event as never))
    expect(checkEventReceipt(receipt)).toMatchObject({
      kind: 'right',
      event: 'Finished Step',
      bytes: HOSTILE.length,
    })
    const other = receipt.replace(
      Buffer.from(HOSTILE).toString('base64'),
      Buffer.from('{}').toString('base64'),
    )
    expect(checkEventReceipt(other)).toMatchObject({
      kind: 'wrong',
      words: [expect.stringContaining('SHA-256')],
    })
    expect(checkEventReceipt(receipt.replace('"live"', '"sandbox"'))).toMatchObject({ kind: 'wrong' })
    expect(checkEventReceipt('{}')).toMatchObject({ kind: 'wrong' })
  })
})

it('a dead letter has what a landed event has, and each failure with its own time and error', async () => {
  await using stack = new AsyncDisposableStack()
  const world = stack.use(await createWorld('inbox'))
  const stores = { db: world.db, queue: undefined, location: undefined }
  const door = stack.use(await openDoor(world))
  stack.use(await openWorker(world))
  const refuse = (name: string) =>
    world.rows(`alter table events drop constraint if exists odd_a, drop constraint if exists odd_b,
      add constraint ${name} check (event_id <> 'bad')`)
  const post = (eventId: string, more = {}) =>
    door.post(JSON.stringify({ event: 'Finished Step', body: { eventId, journeyId: 'J', ...more } }))
  const failedAfter = (replays: number) =>
    eventually(async () => {
      const [row] = await world.rows<{ id: string }>(
        `select id from dead_letters where state = 'open' and replays = $1`,
        [replays],
      )
      return row && getDeadLetter(world.db, Number(row.id))
    })
  await post('good')
  await eventually(async () => (await world.rows('select from events')).length === 1)
  await refuse('odd_a')
  const { id: key } = (await (await post('bad', { x: 1 })).json()) as { id: string }
  const { id } = await failedAfter(0)
  const replay = () =>
    Array.fromAsync(actOnDeadLetters(world.db, 'replay', { ids: [id], actor: 'Ada', reason: 'try' }))
  await refuse('odd_b')
  await replay()

  const letter = await failedAfter(1)
  const page = (await readEventPage(stores, key)) as EventPage

  expect(letter.failures.map(({ errorMessage }) => errorMessage)).toEqual([
    expect.stringContaining('odd_b'),
    expect.stringContaining('odd_a'),
  ])
  expect(page.letters[0]?.failures).toEqual(letter.failures)
  expect(page.timeline.map(({ what, at, words }) => [what, at, words])).toEqual([
    ['received', letter.receivedAt, 'received'],
    ['failed', letter.firstFailedAt, expect.stringMatching(/^became a dead letter: .*odd_a/)],
    ['act', expect.anything(), `Ada: replay of dead letter ${id} (try)`],
    ['failed', letter.lastFailedAt, expect.stringMatching(/^failed again: .*odd_b/)],
  ])
  expect(page.event).toBeNull()
  expect(page.body).toMatchObject({ raw: letter.raw, isIntact: true, curl: expect.stringContaining('"bad"') })
  expect(page.received?.request).toMatchObject({ sourceAddress: expect.any(String) })
  expect(page.previous?.changes?.map(({ path }) => path)).toEqual(['body.eventId', 'body.x'])
  const receipt = writeEventReceipt(page.received as never)
  expect(receipt).toMatchObject({ eventKey: key, landedAt: null, via: null })
  expect(checkEventReceipt(JSON.stringify(receipt))).toMatchObject({ kind: 'right' })

  for (let replays = 2; replays < 12; replays++) {
    await replay()
    await failedAfter(replays)
  }
  const { timeline } = (await readEventPage(stores, key)) as EventPage
  const failed = timeline.filter(({ what }) => what === 'failed').map(({ words }) => words)
  expect(failed[0]).toMatch(/^became a dead letter; its errors before .* not kept$/)
  expect(failed).toHaveLength(11)
})

it('a curl line sends exactly the bytes, and a shell runs nothing of them', () => {
  const show =
    'curl() { while [ $# -gt 0 ]; do case $1 in --data-raw) printf %s "$2";; --data-binary) cat;; esac; shift; done; }'
  const sent = (line: string) => execFileSync('sh', ['-c', `${show}\n${line}`])
  const bodies = [
    HOSTILE,
    '@/etc/passwd',
    "'; id; '",
    '-d x',
    '\n\n',
    'é\u202e',
    Buffer.from([0, 255, 10]),
    '',
    'x'.repeat(20_000),
  ]
  for (const body of bodies) {
    const line = curlLine(Buffer.from(body as string), 'live', `a'b\n`)
    expect(sent(line).equals(Buffer.from(body as string)), line.slice(0, 80)).toBe(true)
  }
})
