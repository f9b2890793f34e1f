import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { followEvents, readEventPage, writeEventReceipt } from '@sluice/shared/operations'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, expect, it } from 'vitest'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const stack = new AsyncDisposableStack()
let world: World
let key: string
type Ended = { code: number | null; output: string }
let ended: Record<'name' | 'mail' | 'journey' | 'tail' | 'receipt' | 'wrong', Ended>

beforeAll(async () => {
  world = stack.use(await createWorld('inbox'))
  await using door = await openDoor(world)
  const worker = await openWorker(world)
  const body = { eventId: 'end-1', journeyId: 'J-1', referenceNo: 'CUST-1', systemDecision: 'Refer' }
  const answer = await door.post(JSON.stringify({ event: 'Finished Journey', body }))
  key = ((await answer.json()) as { id: string }).id
  await door.post(
    JSON.stringify({ event: 'Finished \u001b[31mStep', body: { eventId: 'odd', journeyId: 'J-1' } }),
  )
  await eventually(async () => (await world.rows('select from events')).length === 2)
  await worker[Symbol.asyncDispose]()
  await door.post(JSON.stringify({ event: 'Finished Step', body: { eventId: 'waits', journeyId: 'J-2' } }))
  const page = await readEventPage({ db: world.db, queue: undefined }, key)
  if (page.kind !== 'event' || !page.event) throw new Error('no event')
  const folder = await mkdtemp(join(tmpdir(), 'sluice-receipt-'))
  stack.defer(() => rm(folder, { recursive: true }))
  const receipt = writeEventReceipt(page.event)
  await writeFile(join(folder, 'right.json'), JSON.stringify(receipt))
  await writeFile(join(folder, 'wrong.json'), JSON.stringify({ ...receipt, bytes: '' }))
  // All at once: most of their time is that of starting.
  const [name, mail, journey, tail, right, wrong] = await Promise.all([
    sluice(['search', '--json', 'CUST-1']),
    sluice(['search', '-'], 'eventId: end-1\neventId: gone-2\nreference: CUST-1\n'),
    sluice(['journey', 'J-2']),
    sluice(['tail', '-n', '5']),
    sluice(['event', '--receipt', join(folder, 'right.json')]),
    sluice(['event', '--receipt', join(folder, 'wrong.json')]),
  ])
  ended = { name, mail, journey, tail, receipt: right, wrong }
})
afterAll(() => stack.disposeAsync())

async function sluice(args: readonly string[], input = ''): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...world.env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { code, output }
}

it('sluice search says what became of each name, and fails if one is not here', () => {
  const { code, output } = ended.mail
  expect(code).toBe(1)
  expect(output).toMatch(/end-1 +event id +landed +1 +npx sluice event [0-9a-f]{64}/)
  expect(output).toMatch(/gone-2 +event id +not here/)
  expect(output).toMatch(/CUST-1 +reference number +landed +1 +npx sluice journey J-1/)
  const place = { page: 'journey', environment: 'live', journeyId: 'J-1' }
  expect([ended.name.code, JSON.parse(ended.name.output)]).toMatchObject([0, { status: 'landed', place }])
})

it('sluice journey says what waits of a journey of which nothing has landed', () => {
  expect(ended.journey).toEqual({
    code: 1,
    output: expect.stringMatching(
      /^Journey J-2 · live\n.*has landed\.\nNot landed yet: Finished Step · live waits in the inbox {2}npx sluice event [0-9a-f]{64}\n/,
    ),
  })
})

it('sluice tail shows what landed last, in lines that a stranger cannot forge', () => {
  const shown = /^\S+Z {2}live +Finished Journey +Refer +J-1 {2}CUST-1\n.*Finished \\u001b\[31mStep/
  expect(ended.tail).toEqual({ code: 0, output: expect.stringMatching(shown) })
})

it('sluice event --receipt checks a receipt without a database', () => {
  expect(ended.receipt).toEqual({ code: 0, output: expect.stringContaining('agrees with itself') })
  expect(ended.wrong).toEqual({ code: 1, output: expect.stringContaining('SHA-256') })
})

it('following shows each event once, also one whose transaction is committed after that of a later one', async () => {
  const insert = `insert into events (event_key, environment, event, kind, event_id, raw, body_sha256, delivery_id, received_at, via)
    values (sha256($1::text::bytea), 'live', 'Finished Step', 'finished_step', $1, '', '', '', now(), 'redis')`
  const stop = new AbortController()
  const shown: (string | null)[] = []
  const slow = await world.db.pool.connect()
  try {
    await slow.query('begin')
    await slow.query(insert, ['slow'])
    const following = (async () => {
      const options = { recent: 1, everyMs: 20, signal: stop.signal }
      for await (const each of followEvents({ db: world.db }, {}, options)) {
        if (each.kind === 'events') shown.push(...each.events.map(({ eventId }) => eventId))
      }
    })()
    await eventually(() => shown.length === 1)
    await world.rows(insert, ['fast'])
    await eventually(() => shown.includes('fast'))
    await slow.query('commit')
    await eventually(() => shown.includes('slow'))
    stop.abort()
    await following
    expect(shown).toEqual(['odd', 'fast', 'slow'])
  } finally {
    slow.release()
  }
})
