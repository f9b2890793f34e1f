import { createWorld, type World } from '@sluice/testkit/world'
import { drizzle } from 'drizzle-orm/node-postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  countRedeliveries,
  countStretch,
  type Db,
  findEvent,
  findJourneys,
  readJourneyStory,
  readSlice,
} from '../src/db/index.ts'
import { readEvents } from '../src/db/journey-events.ts'
import { lockEvents } from '../src/db/known-events.ts'
import { eventKey, sha256 } from '../src/idwise/identity.ts'
import { eventsQuery, listEvents, readEventPage, search } from '../src/operations/index.ts'

const WEEKS = 37
const EVENTS_A_WEEK = 2_000

type Plan = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Shared Hit Blocks': number
  'Shared Read Blocks': number
  Plans?: Plan[]
}

describe('with the events of 37 weeks', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    for (let week = WEEKS; week > 0; week--) {
      const [from, to] = [week, week - 1].map((n) => `date_trunc('month', now()) - interval '${n} weeks'`)
      await world.rows(`do $$ begin execute format('create table events_week_${week} partition of events for values
        from (%L) to (%L)', ${from}, ${to}); end $$`)
    }
    // Each journey has five events within a minute. Its first one has an id that is known by its name.
    await world.rows(
      `insert into events (event_key, environment, event, kind, event_id, journey_id, raw, body_sha256, delivery_id,
        received_at, processed_at, via, n)
      select case when i % 5 = 0 then $1::bytea else sha256(i::text::bytea) end, 'live', 'Finished Step', 'finished_step',
        'id-' || i, 'journey-' || i / 5, '', sha256(i::text::bytea), i::text, at, at, 'redis', i % 400
      from generate_series(0, $2::int * $3::int - 1) i, lateral (
        select date_trunc('month', now()) - interval '37 weeks' + i / 400 * 400 * interval '7 days' / $3 as at) as t`,
      [Buffer.alloc(32), WEEKS, EVENTS_A_WEEK],
    )
    await world.rows(`update events set event_key = $1 where event_id = 'id-40000'`, [key('id-40000')])
    await world.rows(`insert into event_keys (key, landed_at, n, body)
      select encode(substring(event_key for 16), 'hex')::uuid, processed_at, n, substring(body_sha256 for 8) from events
      on conflict do nothing`)
    await world.rows(`insert into journeys (environment, journey_id, reference_no, stage, events, first_event_at, last_event_at)
      select environment, journey_id, 'ref-' || journey_id, 'in_progress', count(*), min(received_at), max(received_at)
      from events group by 1, 2`)
    await world.rows('vacuum analyze')
  })
  afterAll(() => stack.disposeAsync())

  const key = (id: string) => eventKey('live', { normalisedEvent: 'finished step', eventId: id })

  /** Runs a reader, and then explains each of its queries. */
  async function plansOf(read: (db: Db) => Promise<unknown>): Promise<Plan[]> {
    const queries: { text: string; values: unknown[] }[] = []
    const pool = new Proxy(world.db.pool, {
      get: (target, name) =>
        name === 'query'
          ? (config: string | { text: string; values?: unknown[] }, ...given: [unknown[]?]) => {
              const { text, values = given[0] ?? [] } = typeof config === 'string' ? { text: config } : config
              queries.push({ text, values })
              return target.query(config as never, ...(given as [never]))
            }
          : Reflect.get(target, name),
    })
    await read({ ...world.db, pool, query: drizzle(pool) })
    return world.db.transaction(async (connection) => {
      const plans: Plan[] = []
      for (const { text, values } of queries) {
        const { rows } = await connection.query(`explain (analyze, buffers, format json) ${text}`, values)
        plans.push(rows[0]['QUERY PLAN'][0].Plan)
      }
      return plans
    })
  }
  const nodesOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(nodesOf)]
  const pagesOf = (plan: Plan) => plan['Shared Hit Blocks'] + plan['Shared Read Blocks']
  const isOfEvents = ({ 'Relation Name': name = '', 'Index Name': index = '' }: Plan) =>
    /^events_(week|\d)/.test(name || index)

  /** How the reader reaches `events`: the kinds of indexes, how many partitions at most, and pages in all. */
  async function wayTo(read: (db: Db) => Promise<unknown>) {
    const plans = await plansOf(read)
    const nodes = plans.flatMap(nodesOf).filter((node) => isOfEvents(node) && pagesOf(node) > 0)
    const indexes = new Set(
      nodes.map((node) => (node['Index Name'] ?? node['Node Type']).replace(/^events_(week_)?\d+_/, '')),
    )
    const partitions = new Set(
      nodes.map((node) => (node['Relation Name'] ?? node['Index Name'])?.match(/^events_(week_)?\d+/)?.[0]),
    )
    const pages = plans.reduce((sum, plan) => sum + pagesOf(plan), 0)
    return { indexes: [...indexes].sort(), partitions: partitions.size, pages }
  }

  it('an event is found by its id in the partition to which its key leads', async () => {
    const { events } = await findEvent(world.db, 'id-40000')
    expect(events.map(({ eventId }) => eventId)).toEqual(['id-40000'])
    const plans = await plansOf((db) => findEvent(db, 'id-40000'))
    const [, , byPlace] = plans
    const indexes = nodesOf(byPlace as Plan).flatMap((node) => (isOfEvents(node) && node['Index Name']) || [])
    expect(indexes).toEqual([expect.stringMatching(/processed_at_n_idx$/)])
    const way = await wayTo((db) => findEvent(db, 'id-40000'))
    expect(way.indexes).not.toContain('Seq Scan')
    expect(way.pages).toBeLessThan(400)
  })

  it('a redelivery finds its event in one partition', async () => {
    const way = await wayTo((db) => lockEvents(db.pool, [key('id-40000')]))
    expect(way).toMatchObject({ indexes: ['processed_at_n_idx'], partitions: 1 })
    expect(way.pages).toBeLessThan(30)
  })

  it('a redelivery that was dropped by the queue is counted in one partition', async () => {
    const entry = { environment: 'live', bodySha256: sha256('40000').toString('hex'), count: 1 }
    const way = await wayTo((db) =>
      countRedeliveries(db.pool, [{ ...entry, eventKey: key('id-40000').toString('hex') }]),
    )
    expect(way).toMatchObject({ indexes: ['processed_at_n_idx'], partitions: 1 })
    expect(way.pages).toBeLessThan(40)
  })

  it('a fold reads a journey from its first event on', async () => {
    const last = `journey-${(WEEKS * EVENTS_A_WEEK) / 5 - 1}`
    const name = { environment: 'live', journeyId: last, events: 5 }
    const stored = await readEvents(world.db.pool, [name], true)
    expect(stored.get(`live ${last}`)).toHaveLength(5)
    const way = await wayTo((db) => readEvents(db.pool, [name], true))
    expect(way.indexes).toEqual(['journey_id_idx'])
    expect(way.partitions).toBeLessThanOrEqual(4)
    expect(way.pages).toBeLessThan(40)
  })

  it('a journey is shown from its first event on, also by the beginning of its reference number', async () => {
    const last = `journey-${(WEEKS * EVENTS_A_WEEK) / 5 - 1}`
    const [journey] = (await findJourneys(world.db, last)).journeys
    if (!journey) throw new Error('no journey')
    const way = await wayTo((db) => readJourneyStory(db, { ...journey, referenceNo: null }))
    expect(way.indexes).toEqual(['journey_id_idx'])
    expect(way.partitions).toBeLessThanOrEqual(4)
    const [plan] = await plansOf(({ pool }) =>
      pool.query(
        `select * from journeys where reference_no like 'ref-journey-1479%' order by reference_no limit 20`,
      ),
    )
    expect(nodesOf(plan as Plan).map((node) => node['Index Name'])).toContain('journeys_by_reference')
  })

  it('the newest events are listed from the newest partition alone', async () => {
    const way = await wayTo(({ pool }) =>
      pool.query(
        `select * from events where processed_at < now() order by processed_at desc, n desc limit 50`,
      ),
    )
    expect(way.indexes).toEqual(['processed_at_n_idx'])
    expect(way.pages).toBeLessThan(200)
  })

  it('a look for drift reads a slice of one partition by its index, and counts without the rows', async () => {
    const stretch = { from: { processedAt: (await timeOf('id-40000')).toISOString(), n: -1 }, until: 'now' }
    const slice = await wayTo((db) => readSlice(db.pool, stretch, 100))
    expect(slice).toMatchObject({ indexes: ['processed_at_n_idx'], partitions: 1 })
    expect(slice.pages).toBeLessThan(60)
    const count = await wayTo((db) => countStretch(db.pool, stretch, 1_001))
    expect(count).toMatchObject({ indexes: ['processed_at_n_idx'], partitions: 1 })
    expect(count.pages).toBeLessThan(60)
  })

  it('the box finds a name of each kind through indexes, and reads few pages', async () => {
    const stores = (db: Db) => ({ db, queue: undefined })
    const last = `journey-${(WEEKS * EVENTS_A_WEEK) / 5 - 1}`
    for (const name of ['id-40000', key('id-40000').toString('hex'), last, `ref-${last}`]) {
      expect(await search(stores(world.db), name)).toMatchObject({ kind: 'name', status: 'landed' })
      const way = await wayTo((db) => search(stores(db), name))
      expect([name, way.indexes.filter((index) => index === 'Seq Scan')]).toEqual([name, []])
      expect(way.pages).toBeLessThan(1_000)
    }
    const plans = await plansOf((db) => search(stores(db), 'ref-journey-1479'))
    expect(plans.flatMap(nodesOf).map((node) => node['Index Name'])).toContain('journeys_by_reference')
  })

  it('a pasted text with 200 names costs little more than their look-ups', async () => {
    const names = Array.from({ length: 200 }, (_, n) => `eventId: id-${40_000 + 5 * n}`).join('\n')
    const way = await wayTo((db) => search({ db, queue: undefined }, names))
    expect(way.indexes.filter((index) => /Seq Scan/.test(index))).toEqual([])
    expect(way.pages).toBeLessThan(200 * 250)
  })

  it('a page of events is read from its place on, without a sort of more than a tie', async () => {
    const list = (asked: object) =>
      wayTo((db) => listEvents({ db, queue: undefined }, eventsQuery.parse(asked)))
    const first = await list({})
    expect(first.indexes).toEqual(['processed_at_n_idx'])
    expect(first.pages).toBeLessThan(200)
    const far = await listEvents(
      { db: world.db, queue: undefined },
      { to: await timeOf('id-40000'), limit: 1 },
    )
    const page = await list({ before: far.kind === 'page' && far.next })
    expect(page).toMatchObject({ indexes: ['processed_at_n_idx'], partitions: 1 })
    expect(page.pages).toBeLessThan(200)
  })

  it('a filter looks at 20,000 events, and those of a journey are found by it', async () => {
    const list = (asked: object) =>
      wayTo((db) => listEvents({ db, queue: undefined }, eventsQuery.parse(asked)))
    const sliced = await list({ decision: 'none' })
    expect(sliced.indexes.filter((index) => index !== 'Seq Scan')).toEqual(['processed_at_n_idx'])
    expect(sliced.partitions).toBeLessThanOrEqual(14)
    const journey = await list({ journey: 'journey-8000' })
    expect(journey.indexes.filter((index) => index !== 'Bitmap Heap Scan')).toEqual(['journey_id_idx'])
    expect(journey.pages).toBeLessThan(300)
  })

  it('the page of an event reads its partition, and the index on its journey', async () => {
    const [row] = await world.rows<{ key: string }>(
      `select encode(event_key, 'hex') as key from events where event_id = 'id-40000'`,
    )
    const way = await wayTo((db) => readEventPage({ db, queue: undefined }, row?.key as string))
    expect(way.indexes).toEqual(expect.arrayContaining(['journey_id_idx', 'processed_at_n_idx']))
    expect(way.indexes).not.toContain('Seq Scan')
    expect(way.pages).toBeLessThan(300)
  })

  async function timeOf(eventId: string): Promise<Date> {
    const [row] = await world.rows<{ at: Date }>(
      'select processed_at as at from events where event_id = $1',
      [eventId],
    )
    return row?.at as Date
  }
})
