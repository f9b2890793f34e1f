import { createWorld, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventKey, sha256 } from '../src/idwise/identity.ts'
import { countNewer, type EventsPage, eventsQuery, listEvents, type Stores } from '../src/operations/index.ts'

const EVENTS = 21_000

describe('the list of events', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let stores: Stores
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    stores = { db: world.db, queue: undefined, location: undefined }
    await world.rows(`do $$ begin execute format('create table events_past partition of events for values from (%L) to (%L)',
      date_trunc('month', now()) - interval '7 days', date_trunc('month', now())); end $$`)
    // Seven events land together, 100 ms after those before. The last one has number 20,999.
    await world.rows(
      `insert into events (event_key, environment, event, kind, event_id, journey_id, reference_no, system_decision, body,
        raw, body_sha256, delivery_id, received_at, processed_at, via, n, duplicates)
      select sha256(i::text::bytea), case when i % 2 = 0 then 'live' else 'sandbox' end, 'Finished Step',
        case when i % 1000 = 3 then 'unrecognised' else 'finished_step' end, 'id-' || i, 'journey-' || i / 5,
        'ref-' || i / 10, case when i % 100 = 0 then 'Refer' else 'Complete' end,
        jsonb_build_object('event', 'Finished Step', 'body', jsonb_build_object('eventId', 'id-' || i, 'risk', i % 50),
          'sentBy', i), '', sha256(i::text::bytea), i::text, at, at, 'redis', i % 7, case when i = 20990 or i = 10 then 2 else 0 end
      from generate_series(0, $1::int - 1) i, lateral (
        select date_trunc('month', now()) - interval '6 days' + i / 7 * interval '100 ms 7 us' as at) as t`,
      [EVENTS],
    )
    await world.rows(`update events set event_key = $1 where event_id = 'id-77'`, [
      eventKey('sandbox', { normalisedEvent: 'finished step', eventId: 'id-77' }),
    ])
    await world.rows(`insert into event_keys (key, landed_at, n, body)
      select encode(substring(event_key for 16), 'hex')::uuid, processed_at, n, substring(body_sha256 for 8) from events`)
    await world.rows(`insert into journeys (environment, journey_id, reference_no, stage, events, first_event_at, last_event_at)
      select min(environment), journey_id, min(reference_no), 'in_progress', count(*), min(received_at), max(received_at)
      from events group by journey_id`)
    await world.rows(`insert into dead_letters (job_id, environment, event_id, journey_id, reason, error_class,
        error_message, fingerprint, attempts, raw, envelope, first_failed_at, state, replays)
      select 'e-' || i, 'live', 'lost-' || i, 'of-lost-' || i, case when i % 2 = 0 then 'conflict' else 'unreadable' end,
        'Error', 'no', 'f', 1, '', '', '2020-01-01', case when i % 3 = 0 then 'resolved' else 'open' end, i % 3
      from generate_series(1, 9) i`)
    await world.rows('vacuum analyze')
  })
  afterAll(() => stack.disposeAsync())

  async function list(asked: Record<string, string> = {}): Promise<EventsPage> {
    const listed = await listEvents(stores, eventsQuery.parse(asked))
    if (listed.kind === 'refused') throw new Error(listed.words)
    return listed
  }
  const idsOf = ({ items }: EventsPage) => items.map((item) => 'eventId' in item && item.eventId)

  it('has the last landed first, and its pages have each event once while others land', async () => {
    const first = await list({ limit: '10' })
    expect(idsOf(first)).toEqual(Array.from({ length: 10 }, (_, n) => `id-${EVENTS - 1 - n}`))
    await world.rows(`insert into events select sha256('new'), environment, event, kind, 'id-new', journey_id, reference_no,
      system_decision, manual_decision, final_decision, details, body, raw, body_sha256, request, delivery_id, received_at,
      processed_at + interval '1 s', duplicates, via, n from events where event_id = 'id-20999'`)
    const seen = idsOf(first)
    for (let next = first.next; next && seen.length < 100; ) {
      const page = await list({ limit: '10', before: next })
      seen.push(...idsOf(page))
      next = page.next
    }
    expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => `id-${EVENTS - 1 - n}`))
    expect(await countNewer(stores, {}, first.top as string)).toBe(1)
    expect(await countNewer(stores, { environment: 'live' }, first.top as string)).toBe(0)
    await world.rows(`delete from events where event_id = 'id-new'`)
  })

  it('filters by each column, and by all of them together', async () => {
    expect(idsOf(await list({ decision: 'Refer', limit: '2' }))).toEqual(['id-20900', 'id-20800'])
    expect(idsOf(await list({ environment: 'sandbox', limit: '2' }))).toEqual(['id-20999', 'id-20997'])
    expect(idsOf(await list({ via: 'inbox' }))).toEqual([])
    const all = {
      environment: 'live',
      kind: 'finished_step',
      decision: 'Refer',
      journey: 'journey-20',
      reference: 'ref-10',
    }
    expect(idsOf(await list(all))).toEqual(['id-100'])
    expect(idsOf(await list({ ...all, reference: 'ref-11' }))).toEqual([])
  })

  it('finds the events of a journey and of a reference number by their indexes', async () => {
    expect(await list({ journey: 'journey-4' })).toMatchObject({ next: null, looked: null })
    expect(idsOf(await list({ journey: 'journey-4' }))).toEqual([24, 23, 22, 21, 20].map((n) => `id-${n}`))
    expect(idsOf(await list({ reference: 'ref-2', limit: '6' }))).toEqual(
      [29, 28, 27, 26, 25, 24].map((n) => `id-${n}`),
    )
  })

  it('is bounded by times of landing', async () => {
    const [row] = await world.rows<{ at: Date }>(
      `select processed_at as at from events where event_id = 'id-700'`,
    )
    const to = (row as { at: Date }).at.toISOString()
    expect(idsOf(await list({ to, limit: '1' }))).toEqual(['id-699'])
    const from = new Date((row as { at: Date }).at.getTime() - 50).toISOString()
    expect((await list({ from, to })).items).toEqual([])
    expect((await list({ to: '2020-01-01' })).items).toEqual([])
  })

  it('looks through 20,000 events for a filter, says so, and goes on from there', async () => {
    const first = await list({ view: 'duplicates' })
    expect(idsOf(first)).toEqual(['id-20990'])
    expect(first.looked).toMatch(/^Looked through 20,000 events, back to \d{4}-\d\d-\d\d \d\d:\d\d UTC\.$/)
    const second = await list({ view: 'duplicates', before: first.next as string })
    expect([idsOf(second), second.looked, second.next]).toEqual([['id-10'], null, null])
  })

  it('finds unrecognised events however rare they are', async () => {
    const { items, looked } = await list({ view: 'unrecognised', limit: '100' })
    expect([items.length, looked]).toEqual([21, null])
  })

  it('reads a fragment as ids and columns first, and looks for the rest in bodies', async () => {
    const contains = (fragment: unknown, limit = '3') => list({ body: JSON.stringify(fragment), limit })
    expect(idsOf(await contains({ journeyId: 'journey-4', risk: 23 }))).toEqual(['id-23'])
    expect(idsOf(await contains({ event: 'finished  step', body: { eventId: 'id-77' } }))).toEqual(['id-77'])
    expect(idsOf(await contains({ risk: 7 }))).toEqual(['id-20957', 'id-20907', 'id-20857'])
    expect(idsOf(await contains({ sentBy: 20_001 }))).toEqual(['id-20001'])
    expect(idsOf(await contains({ systemDecision: 'Refer', risk: 0, sentBy: 1_000 }))).toEqual([])
    const far = await contains({ sentBy: 10 })
    expect([far.items, far.looked]).toEqual([[], expect.stringContaining('20,000')])
    expect(idsOf(await list({ body: '{"sentBy":10}', before: far.next as string }))).toEqual(['id-10'])
    expect(idsOf(await list({ body: '{"journeyId":"journey-4"}', journey: 'journey-5' }))).toEqual([])
  })

  it('has views of dead letters, page by page', async () => {
    expect(idsOf(await list({ view: 'failed', limit: '3' }))).toEqual(['lost-8', 'lost-7', 'lost-5'])
    const { next } = await list({ view: 'failed', limit: '3' })
    expect(idsOf(await list({ view: 'failed', before: next as string }))).toEqual([
      'lost-4',
      'lost-2',
      'lost-1',
    ])
    expect(idsOf(await list({ view: 'conflicts' }))).toEqual([8, 6, 4, 2].map((n) => `lost-${n}`))
    expect(idsOf(await list({ view: 'replayed', journey: 'of-lost-4' }))).toEqual(['lost-4'])
    expect(await list({ view: 'waiting' })).toMatchObject({ items: [], looked: null })
  })

  it('refuses in words what is no place, no fragment, no time and no limit', async () => {
    const words = async (asked: Record<string, string>) => {
      const listed = await listEvents(stores, eventsQuery.parse(asked))
      return listed.kind === 'refused' ? listed.words : undefined
    }
    const place = Buffer.from(`1.1.${sha256('').toString('hex')}`).toString('base64url')
    expect(await words({ before: place })).toBeUndefined()
    for (const before of ['x', `${place}=`, `${place}AA`, '99'])
      expect(await words({ before })).toContain('before')
    for (const body of ['[1]', '{', '"x"', '1']) expect(await words({ body })).toContain('JSON object')
    for (const asked of [
      { limit: '101' },
      { limit: '0' },
      { limit: 'x' },
      { from: 'now' },
      { from: '2026-13-40' },
      { view: 'x' },
    ]) {
      expect(eventsQuery.safeParse(asked).success, JSON.stringify(asked)).toBe(false)
    }
    expect(eventsQuery.parse({ view: '', from: '', limit: '' })).toEqual({})
  })
})
