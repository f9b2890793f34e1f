import { createHash } from 'node:crypto'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rebuildJourneys } from '../src/db/index.ts'
import { keepFormerReferences } from '../src/db/journey-rows.ts'
import {
  eventsQuery,
  type FoundName,
  listEvents,
  lookUpJourneys,
  type SearchAnswer,
  type Stores,
  search,
} from '../src/operations/index.ts'
import { createQueueAdmin } from '../src/queue/index.ts'
import { createLog } from '../src/runtime/index.ts'

const REFUSED = '11111111-2222-4333-8444-555555555555'
const MISSING = '99999999-2222-4333-8444-555555555555'

describe('the box finds', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let stores: Stores
  let ids: Record<'end' | 'anonymous' | 'waiting', string>
  beforeAll(async () => {
    world = stack.use(await createWorld('redis'))
    const { queuePrefix: prefix, redisUrl: url } = world
    const location = { url, prefix, shards: 1 }
    const queue = stack.use(createQueueAdmin(location, createLog('test', 'silent')))
    stores = { db: world.db, queue, location }
    const door = stack.use(await openDoor(world))
    const post = async (
      event: string,
      body: Record<string, string>,
      environment: 'live' | 'sandbox' = 'live',
    ) => {
      const answer = await door.post(JSON.stringify({ event, body }), { environment })
      return ((await answer.json()) as { id: string }).id
    }
    const worker = await openWorker(world)
    const journey = { journeyId: 'journey-1', referenceNo: 'REF-100' }
    await post('Finished Step', { eventId: 'step-1', ...journey })
    const end = await post('Finished Journey', { eventId: 'end-1', ...journey, systemDecision: 'Complete' })
    await post('Finished Journey', { eventId: 'end-1', ...journey, systemDecision: 'Refer' })
    await post('Finished Spot Check', { eventId: 'spot-1', referenceNo: 'REF-100' })
    const anonymous = await post('Step Submitted', { journeyId: 'journey-2', referenceNo: 'REF 200' })
    await post('Brand New', { eventId: 'new-1', referenceNo: 'REF-300' })
    await post('Finished Step', { eventId: 'both-1', journeyId: 'journey-3' })
    await post('Finished Step', { eventId: 'both-1', journeyId: 'journey-3' }, 'sandbox')
    let steps = 0
    for (const referenceNo of ['CHG-OLD', 'CHG-NEW', 'CHG-NEW'])
      await post('Finished Step', { journeyId: 'journey-4', referenceNo, stepId: String(steps++) })
    await eventually(async () => {
      const [row] = await world.rows<{ n: number }>(
        'select (select count(*) from events)::int + (select count(*) from dead_letters)::int as n',
      )
      return row?.n === 11
    })
    await worker[Symbol.asyncDispose]()
    const waiting = await post('Finished Step', {
      eventId: 'late-1',
      journeyId: 'journey-9',
      referenceNo: 'WAIT-9',
    })
    ids = { end, anonymous, waiting }
    await world.rows(
      `insert into refusals values (sha256('refused'), 'live', 'Finished Step', $1, 'journey-7', 'REF-700', now(), now(), 2)`,
      [REFUSED],
    )
  })
  afterAll(() => stack.disposeAsync())

  const found = async (text: string) => {
    const answer = await search(stores, text)
    if (answer.kind !== 'name') throw new Error(`not one name: ${answer.kind}`)
    return answer
  }
  const whatIn = ({ hits }: Pick<FoundName, 'hits'>) => hits.map(({ what }) => what)

  it('an event by its id, by the id of the answer, and by the beginning of its key, with its dead letters', async () => {
    const byId = await found('end-1')
    expect([byId.status, ...whatIn(byId)]).toEqual(['landed', 'event', 'dead_letter'])
    expect(byId.place).toEqual({ page: 'event', eventKey: ids.end })
    expect((await found(` ${ids.end}\n`)).place).toEqual(byId.place)
    expect((await found(ids.end.slice(0, 12))).starts).toMatchObject([{ what: 'event', eventId: 'end-1' }])
    expect((await found('new-1')).hits).toMatchObject([{ what: 'event', kind: 'unrecognised' }])
  })

  it('an event without id by the id of the answer, which is the SHA-256 of its bytes', async () => {
    expect(await found(ids.anonymous)).toMatchObject({ status: 'landed', hits: [{ journeyId: 'journey-2' }] })
  })

  it('one id in two environments, and offers no page for both', async () => {
    const both = await found('both-1')
    expect(both.hits.map((hit) => 'environment' in hit && hit.environment).sort()).toEqual([
      'live',
      'sandbox',
    ])
    expect(both.place).toBeNull()
  })

  it('a journey by its id and by its reference number, and goes to its page though a spot check is found too', async () => {
    const place = { page: 'journey', environment: 'live', journeyId: 'journey-1' }
    expect((await found('journey-1')).place).toEqual(place)
    const byReference = await found('REF-100')
    expect(whatIn(byReference).sort()).toEqual(['dead_letter', 'event', 'journey'])
    expect(byReference.place).toEqual(place)
    expect((await found('REF 200')).hits).toMatchObject([{ journeyId: 'journey-2' }])
  })

  it('reference numbers by their beginning of at least three characters', async () => {
    const { status, starts } = await found('REF')
    expect(status).toBe('not_here')
    expect(starts.map((hit) => [hit.what, 'referenceNo' in hit && hit.referenceNo])).toEqual([
      ['journey', 'REF 200'],
      ['journey', 'REF-100'],
      ['dead_letter', 'REF-100'],
      ['event', 'REF-100'],
      ['event', 'REF-300'],
    ])
    expect((await found('WAIT')).starts).toMatchObject([{ what: 'waiting', referenceNo: 'WAIT-9' }])
    expect((await found('RE')).starts).toEqual([])
    expect((await found('RE%')).starts).toEqual([])
  })

  it('former reference numbers again after a rebuild, but none that no index can hold', async () => {
    const former = () => world.rows<{ reference_no: string }>('select reference_no from former_references')
    const before = await former()
    await world.rows('delete from former_references')
    await rebuildJourneys(world.db)
    expect(await former()).toEqual(before)
    // Chinese letters have three bytes, and random ones cannot be compressed.
    const long = () =>
      String.fromCharCode(...Array.from({ length: 500 }, () => 0x4e00 + Math.floor(Math.random() * 20_000)))
    const named = { environment: 'live', journeyId: long(), referenceNo: long() }
    await world.db.transaction((connection) => keepFormerReferences(connection, [named]))
    expect(await former()).toEqual(before)
  })

  it('a journey by each reference number that its events have or had', async () => {
    const place = { page: 'journey', environment: 'live', journeyId: 'journey-4' }
    for (const name of ['CHG-OLD', 'CHG-NEW']) {
      expect((await found(name)).place, name).toEqual(place)
      expect(await lookUpJourneys(stores, name)).toMatchObject({
        journeys: [{ page: { journey: { journeyId: 'journey-4' } } }],
      })
      expect((await found(name.slice(0, -1))).starts).toMatchObject([{ journeyId: 'journey-4' }])
    }
    const references = async (asked: Record<string, string>) => {
      const listed = await listEvents(stores, eventsQuery.parse(asked))
      if (listed.kind === 'refused') throw new Error(listed.words)
      return listed.items.map((item) => 'referenceNo' in item && item.referenceNo)
    }
    const all = ['CHG-NEW', 'CHG-NEW', 'CHG-OLD']
    expect((await references({ reference: 'CHG-OLD' })).toSorted()).toEqual(all)
    expect((await references({ reference: 'CHG-NEW' })).toSorted()).toEqual(all)
    // A body has one number.
    expect(await references({ body: '{"referenceNo":"CHG-OLD"}' })).toEqual(['CHG-OLD'])
    expect(await references({ body: '{"referenceNo":"CHG-NEW"}' })).toEqual(['CHG-NEW', 'CHG-NEW'])
  })

  it('a job by its id while it waits, and after it has landed', async () => {
    const jobs = await world.rows<{ id: string }>('select job_id as id from dead_letters')
    expect(whatIn(await found(jobs[0]?.id as string))).toContain('dead_letter')
    const body = JSON.stringify({
      event: 'Finished Step',
      body: { eventId: 'late-1', journeyId: 'journey-9', referenceNo: 'WAIT-9' },
    })
    const hash = (...parts: Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
    const job = `e-${hash(Buffer.from(ids.waiting, 'hex'), hash(Buffer.from(body))).toString('hex')}`
    expect(await found(job)).toMatchObject({
      status: 'waiting',
      hits: [{ where: 'queue', eventId: 'late-1' }],
    })
  })

  it('an event that waits by a bounded look, and says how far it looked', async () => {
    const answer = await found('WAIT-9')
    expect(answer).toMatchObject({ status: 'waiting', place: { page: 'event', eventKey: ids.waiting } })
    expect(answer.tried).toContain('the events that wait (all 1)')
  })

  it('an event that was refused and has not come again', async () => {
    expect(await found(REFUSED)).toMatchObject({ status: 'refused', hits: [{ deliveries: 2 }] })
    expect((await found('REF-700')).status).toBe('refused')
  })

  it('nothing: then it says what was tried, and what is nearest', async () => {
    const answer = await found('REF-1O0')
    expect(answer.nearest.map(({ name }) => name)).toEqual(['REF-100', 'REF 200'])
    expect(answer.tried).toContain('dead letters')
    expect(await search(stores, ' \n')).toEqual({ kind: 'nothing_asked' })
    expect(await search(stores, 'x'.repeat(10_001))).toEqual({ kind: 'too_long', limit: 10_000 })
  })

  it('every name of a pasted e-mail, each with what became of it', async () => {
    const mail = `We could not deliver these webhooks:
      Finished Step, eventId: step-1
      Finished Journey, journeyId: journey-1, referenceNo: REF-100
      eventId ${REFUSED} (3 attempts)
      eventId ${MISSING} (3 attempts)
      late-1 is what our log has, and XYZ-12345678 is a word.`
    const answer = (await search(stores, mail)) as Extract<SearchAnswer, { kind: 'text' }>
    expect(Object.fromEntries(answer.names.map(({ name, status }) => [name, status]))).toEqual({
      'step-1': 'landed',
      'journey-1': 'landed',
      'REF-100': 'landed',
      [REFUSED]: 'refused',
      [MISSING]: 'not_here',
      'late-1': 'waiting',
    })
  })

  it('hostile text without an error', async () => {
    for (const text of [
      "'; drop table events; --",
      '\u0000\ud800 x1',
      '{"a":',
      '%_\\',
      '"',
      '1 2 3 '.repeat(1_600),
    ]) {
      expect(await search(stores, text)).toBeDefined()
    }
  })
})
