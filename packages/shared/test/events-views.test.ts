import { createWorld, openDoor, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { countNewer, type EventsPage, eventsQuery, listEvents, type Stores } from '../src/operations/index.ts'

const LETTERS = 8
const VIEWS = ['failed', 'conflicts', 'replayed', 'waiting'] as const

describe('the views of events', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let stores: Stores
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    stores = { db: world.db, queue: undefined, location: undefined }
    const door = stack.use(await openDoor(world))
    for (let i = 1; i <= LETTERS; i++) {
      const body = bodyOf(i)
      const environment = i % 2 === 0 ? 'live' : 'sandbox'
      await door.post(JSON.stringify(body), { environment })
      // Failed first and last i hours ago, so that the newest one has number 8 and failed last.
      await world.rows(
        `insert into dead_letters (job_id, environment, event, event_id, journey_id, reference_no, reason, error_class,
          error_message, fingerprint, attempts, raw, envelope, state, replays, first_failed_at, last_failed_at)
        values ('e-' || $1::text, $2, $3, $4, $5, $6, 'conflict', 'Error', 'no', 'f', 1, $7, '', 'open', 1,
          '2026-01-01'::timestamptz + $1::int * interval '1 hour', '2026-01-01'::timestamptz + $1::int * interval '1 hour')`,
        [
          i,
          environment,
          body.event,
          body.body.eventId,
          body.body.journeyId,
          body.body.referenceNo,
          Buffer.from(JSON.stringify(body)),
        ],
      )
    }
    await world.rows(
      `create table events_past partition of events for values from ('2025-12-01') to ('2026-02-01')`,
    )
    // Half an hour after each dead letter.
    await world.rows(
      `insert into events (event_key, environment, event, kind, event_id, journey_id, reference_no, body, raw, body_sha256,
        delivery_id, received_at, processed_at, via, n)
      select sha256(i::text::bytea), 'live', 'Finished Step', 'finished_step', 'landed-' || i, 'J', 'R', '{}', '', '', '',
        at, at, 'redis', 0 from generate_series(1, $1::int) i,
        lateral (select '2026-01-01 00:30'::timestamptz + i * interval '1 hour' as at) as t`,
      [LETTERS],
    )
  })
  afterAll(() => stack.disposeAsync())

  function bodyOf(i: number) {
    const ids = { eventId: `id-${i}`, journeyId: `J-${i}`, referenceNo: `BAD-${i}` }
    const systemDecision = i === 4 ? 'Refer' : 'Complete'
    const event = i === 4 ? 'Finished Journey' : 'Finished  STEP'
    return {
      event,
      body: { ...ids, systemDecision, risk: { scores: [i, 1.5], big: 12345678901234567890n.toString() } },
    }
  }
  async function list(asked: Record<string, string> = {}): Promise<EventsPage> {
    const listed = await listEvents(stores, eventsQuery.parse(asked))
    if (listed.kind === 'refused') throw new Error(listed.words)
    return listed
  }
  const idsIn = ({ items }: EventsPage) => items.map((item) => 'eventId' in item && item.eventId)
  const ids = async (asked: Record<string, string> = {}) => idsIn(await list(asked))

  it.each(VIEWS)('%s takes each filter, and all of them together', async (view) => {
    expect(await ids({ view })).toHaveLength(LETTERS)
    const each: Record<string, string>[] = [
      { decision: 'Refer' },
      { kind: 'finished_journey' },
      { journey: 'J-4' },
      { reference: 'BAD-4' },
      { body: '{"risk":{"scores":[4.0]}}' },
      { body: '{"event":"finished journey"}' },
      { body: '{"body":{"eventId":"id-4"}}' },
      { body: '{"systemDecision":"Refer"}' },
      { body: '{"referenceNo":"BAD-4"}' },
    ]
    for (const asked of each) expect(await ids({ view, ...asked }), JSON.stringify(asked)).toEqual(['id-4'])
    expect(await ids({ view, environment: 'live' })).toHaveLength(LETTERS / 2)
    const all = Object.assign({ view, environment: 'live' }, ...each.slice(0, 5))
    expect(await ids(all)).toEqual(['id-4'])
    const others = [
      { environment: 'sandbox' },
      { decision: 'Complete' },
      { kind: 'finished_step' },
      { journey: 'J-2' },
      { reference: 'BAD-7' },
      { body: '{"risk":{"scores":[5]}}' },
      { body: '{"journeyId":"J-3"}' },
      { from: '2100-01-01' },
      { to: '2000-01-01' },
    ]
    for (const other of others) expect(await ids({ ...all, ...other }), JSON.stringify(other)).toEqual([])
  })

  it.each(['failed', 'conflicts', 'replayed'])(
    '%s is bounded by the time of the last failure',
    async (view) => {
      const bounds = { from: '2026-01-01T03:00Z', to: '2026-01-01T05:00Z' }
      expect(await ids({ view, ...bounds })).toEqual(['id-4', 'id-3'])
      expect(await ids({ view, ...bounds, decision: 'Refer', limit: '1' })).toEqual(['id-4'])
    },
  )

  it.each(VIEWS)('%s says in words that it has no filter about landing', async (view) => {
    for (const asked of [{ via: 'inbox' }, { duplicates: 'yes' }]) {
      const listed = await listEvents(stores, eventsQuery.parse({ view, ...asked }))
      expect(listed).toMatchObject({ kind: 'refused', words: expect.stringContaining(`"${view}"`) })
    }
  })

  const ALL = Array.from({ length: LETTERS }, (_, n) => [`landed-${LETTERS - n}`, `id-${LETTERS - n}`]).flat()

  it('has open dead letters among all events by time, each once over the pages while others come', async () => {
    expect(await ids()).toEqual(ALL)
    for (const limit of ['1', '2', '3', '5']) {
      const seen: unknown[] = []
      let before: string | null = null
      do {
        const page: EventsPage = await list({ limit, ...(before && { before }) })
        seen.push(...idsIn(page))
        if (before === null) await addNewer(limit)
        before = page.next
      } while (before !== null)
      expect(seen, limit).toEqual(ALL)
      await world.rows(`delete from events where event_id like 'newer%'`)
      await world.rows(`delete from dead_letters where event_id like 'newer%'`)
    }
  })

  it('begins with dead letters alone, or events alone, and still loses none', async () => {
    for (const [first, rest] of [
      [`update dead_letters set first_failed_at = first_failed_at + interval '1 year'`, 'id-8'],
      [`update dead_letters set first_failed_at = first_failed_at - interval '2 years'`, 'landed-8'],
    ] as const) {
      await world.rows(first)
      const page = await list({ limit: '3' })
      expect(idsIn(page)[0]).toBe(rest)
      await addNewer('x')
      const seen = idsIn(page)
      for (let before = page.next; before; ) {
        const next: EventsPage = await list({ limit: '3', before })
        seen.push(...idsIn(next))
        before = next.next
      }
      expect(seen.toSorted()).toEqual(ALL.toSorted())
      await world.rows(`delete from events where event_id like 'newer%'`)
      await world.rows(`delete from dead_letters where event_id like 'newer%'`)
    }
    await world.rows(`update dead_letters set first_failed_at = last_failed_at`)
  })

  it('filters the dead letters among all events too, and leaves them out if only landed ones are meant', async () => {
    expect(await ids({ decision: 'Refer' })).toEqual(['id-4'])
    expect(await ids({ reference: 'BAD-7' })).toEqual(['id-7'])
    expect(await ids({ from: '2026-01-01T03:00Z', to: '2026-01-01T04:00Z' })).toEqual(['landed-3', 'id-3'])
    expect(await ids({ via: 'redis' })).toEqual(ALL.filter((id) => id.startsWith('landed')))
    expect(await ids({ view: 'unrecognised', journey: 'J' })).toEqual([])
  })

  it('counts newer dead letters as well as newer events', async () => {
    const { top } = await list({ limit: '2' })
    await addNewer('t')
    expect(await countNewer(stores, {}, top as string)).toBe(2)
    expect(await countNewer(stores, { via: 'redis' }, top as string)).toBe(1)
    expect(await countNewer(stores, { reference: 'BAD-1' }, top as string)).toBe(1)
    await world.rows(`delete from events where event_id like 'newer%'`)
    await world.rows(`delete from dead_letters where event_id like 'newer%'`)
  })

  /** An event and a dead letter, newer than all others. */
  async function addNewer(name: string): Promise<void> {
    await world.rows(
      `insert into events select sha256($1::text::bytea), environment, event, kind, 'newer-' || $1, journey_id, reference_no,
        system_decision, manual_decision, final_decision, details, body, raw, body_sha256, request, delivery_id,
        received_at, now(), duplicates, via, n from events where event_id = 'landed-1'`,
      [name],
    )
    await world.rows(
      `insert into dead_letters (job_id, environment, event_id, reference_no, reason, error_class, error_message, fingerprint,
        attempts, raw, envelope) values ('newer-' || $1, 'live', 'newer-' || $1, 'BAD-1', 'unreadable', 'Error', 'no', 'f', 1, '', '')`,
      [name],
    )
  }
})
