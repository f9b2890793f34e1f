import {
  discardDeadLetter,
  findJourneys,
  type JourneyChange,
  landJobs,
  readJourneyStory,
  rebuildJourneys,
} from '@sluice/shared/db'
import { encodeRaw } from '@sluice/shared/envelope'
import { identify, parseEvent } from '@sluice/shared/idwise'
import { journeyTimeline } from '@sluice/shared/journey'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import fc from 'fast-check'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const MINUTE = 60_000
const START = Date.UTC(2026, 5, 1)

let world: World
beforeAll(async () => {
  world = await createWorld('inbox')
})
afterAll(() => world[Symbol.asyncDispose]())

/**
 * An event of a journey: its body, and when it was received, minutes after the start, and again, minutes after that.
 */
type Sent = { event: string; body: Record<string, unknown>; at: number; again: number[] }

let received = 0

function deliveries(journeyId: string, events: readonly Sent[]) {
  return events.flatMap(({ event, body, at, again }, index) => {
    const raw = Buffer.from(
      JSON.stringify({ event, body: { eventId: `${journeyId}-${index}`, journeyId, ...body } }),
    )
    return [at, ...again.map((later) => at + later)].map((minutes) => {
      const receivedAt = START + Math.round(minutes * MINUTE)
      return {
        jobId: identify('live', raw, parseEvent(raw), receivedAt).jobId,
        envelope: {
          v: 1 as const,
          env: 'live',
          at: receivedAt,
          deliveryId: `a${received++}`,
          ...encodeRaw(raw),
        },
        via: 'inbox' as const,
        duplicates: 0,
        replayOf: null,
      }
    })
  })
}

/** Lands batches in their order, several at once. */
async function land(batches: readonly ReturnType<typeof deliveries>[], width: number): Promise<void> {
  const queue = [...batches]
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let batch = queue.shift(); batch; batch = queue.shift()) {
        const next = batch
        await world.db.landingTransaction((connection) => landJobs(connection, next))
      }
    }),
  )
}

async function journeyRow(journeyId: string): Promise<Record<string, unknown>> {
  const [row] = await world.rows('select * from journeys where journey_id = $1', [journeyId])
  const { journey_id: _, updated_at: __, ...state } = row as Record<string, unknown>
  return state
}

const decision = fc.constantFrom('Complete', 'Incomplete', 'Refer', 'Rejected', 'Escalated')
const verdict = fc.option(fc.constantFrom('Approved', 'Rejected', 'Resubmission Requested', 'Suspended'))
const body = fc.record(
  {
    systemDecision: decision,
    manualDecision: verdict,
    finalDecision: fc.constantFrom('Complete', 'Approved', 'Refer'),
    referenceNo: fc.constantFrom('R1', 'R2'),
    action: fc.constantFrom('Step Update', 'Manual Review', 'AML OGM Update'),
    trigger: fc.constantFrom('KYC Renewal', 'Manual Review'),
    previousSystemDecision: decision,
    updatedAMLVersionNumber: fc.integer({ min: 1, max: 4 }),
  },
  { requiredKeys: [] },
)
const event = fc.constantFrom(
  'Finished Step',
  'Finished User Steps',
  'Finished Journey',
  'Updated Journey',
  'Verification Update Required',
  'KYC Renewal Deadline Exceeded',
  'AML Monitor Update',
  'Manually Reviewed',
  'Finished Ongoing Check',
  'Archived Journey',
)
const sentEvent: fc.Arbitrary<Sent> = fc.record({
  event,
  body,
  at: fc.double({ min: 0, max: 180, noNaN: true }),
  again: fc.array(fc.double({ min: 0, max: 30, noNaN: true }), { maxLength: 2 }),
})

describe('a journey', () => {
  it('has the same row for any order, duplication, split into batches and number of workers', async () => {
    let runs = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(sentEvent, { minLength: 1, maxLength: 12 }),
        fc.infiniteStream(fc.nat()),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 4 }),
        async (history, order, size, width) => {
          const run = runs++
          // One after the other, in order of receipt, each alone.
          const plain = deliveries(`plain-${run}`, history).sort((a, b) => a.envelope.at - b.envelope.at)
          await land(
            plain.map((delivery) => [delivery]),
            1,
          )

          const shuffled = deliveries(`mixed-${run}`, history)
            .map((delivery) => ({ delivery, key: order.next().value as number }))
            .sort((a, b) => a.key - b.key)
            .map(({ delivery }) => delivery)
          const batches = []
          while (shuffled.length > 0) batches.push(shuffled.splice(0, size))
          await land(batches, width)

          expect(await journeyRow(`mixed-${run}`)).toEqual(await journeyRow(`plain-${run}`))
        },
      ),
      { numRuns: 80, endOnFailure: true },
    )
  }, 120_000)

  it('is approved by the oldest shape, which has no manual decision at all, but not against a null one', async () => {
    const review = { systemDecision: 'Refer', finalDecision: 'Approved' }
    const reviews = (body: Sent['body']) => [{ event: 'Manually Reviewed', body, at: 0, again: [] }]
    await land([deliveries('oldest', reviews(review))], 1)
    await land([deliveries('with-null', reviews({ ...review, manualDecision: null }))], 1)

    expect(await journeyRow('oldest')).toMatchObject({
      stage: 'reviewed',
      final_decision: 'Approved',
      needs_attention: null,
    })
    expect(await journeyRow('with-null')).toMatchObject({
      stage: 'finished',
      final_decision: 'Refer',
      needs_attention: 'a final decision "Approved" does not follow from the decisions beside it',
    })
  })

  it('is what a rebuild makes of it, whatever its events carry', async () => {
    const text = fc.constantFrom(
      undefined,
      null,
      '',
      'Approved',
      'Rejected',
      7,
      'a\u0000b',
      '\ud800',
      'x'.repeat(600),
    )
    const body = fc.record(
      {
        referenceNo: text,
        systemDecision: text,
        manualDecision: text,
        finalDecision: text,
        action: fc.constantFrom('Step Update', ' manual review', 5),
        trigger: text,
        previousSystemDecision: text,
        updatedAMLVersionNumber: fc.constantFrom(1, 2, '**3**', 'no number', 1.5, -0),
      },
      { requiredKeys: [] },
    )
    const sentEvent = fc.record({
      event: fc.constantFrom('Finished Journey', 'updated  journey', 'AML Monitor Update', 'New Thing'),
      body,
      at: fc.integer({ min: 0, max: 90 }),
      again: fc.constant<number[]>([]),
    })
    let runs = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(sentEvent, { maxLength: 4 }), { maxLength: 4 }),
        async (journeys) => {
          const all = journeys.flatMap((events, index) => deliveries(`rebuilt-${runs++}-${index}`, events))
          const batches = [all.filter((_, index) => index % 3 < 2), all.filter((_, index) => index % 3 === 2)]
          await land(batches, 1)
          expect(await rebuildJourneys(world.db)).toMatchObject({ changed: 0 })
        },
      ),
      { numRuns: 60 },
    )
  })

  it('has the same row whether its events were added one by one or read together', async () => {
    let runs = 0
    await fc.assert(
      fc.asyncProperty(fc.array(sentEvent, { minLength: 1, maxLength: 6 }), async (events) => {
        const id = `grown-${runs++}`
        await land(
          deliveries(id, events).map((delivery) => [delivery]),
          1,
        )
        const grown = await journeyRow(id)
        await world.rows('delete from journeys where journey_id = $1', [id])
        await rebuildJourneys(world.db)
        expect(grown).toEqual(await journeyRow(id))
        await world.rows('delete from journeys')
        await world.rows('delete from events')
      }),
      { numRuns: 60 },
    )
  })

  it('that a worker of an older version has changed is folded from all of its events again', async () => {
    const sentAs = (event: string) => ({ event, body: { systemDecision: 'Complete' }, at: 0, again: [] })
    const three = deliveries(
      'of-before',
      ['Finished Step', 'Finished Journey', 'Updated Journey'].map(sentAs),
    )
    const [first, second, third] = three.map((delivery) => [delivery])
    await land([first ?? []], 1)
    const { digest: before } = await journeyRow('of-before')
    await land([second ?? []], 1)
    // It counts the second event, and knows nothing of this column.
    await world.rows(`update journeys set digest = $1 where journey_id = 'of-before'`, [before])

    await land([third ?? []], 1)

    const row = await journeyRow('of-before')
    expect(row).toMatchObject({ events: 3, stage: 'finished' })
    expect(row.digest).toContain('Finished Journey')
  })

  it('whose row somebody has deleted is folded from all of its events again', async () => {
    const sentAs = (event: string) => ({ event, body: { systemDecision: 'Complete' }, at: 0, again: [] })
    const [first, second] = deliveries('orphaned', [sentAs('Finished Step'), sentAs('Finished Journey')])
    await land([[first as NonNullable<typeof first>]], 1)
    await world.rows(`delete from journeys where journey_id = 'orphaned'`)

    await land([[second as NonNullable<typeof second>]], 1)

    expect(await journeyRow('orphaned')).toMatchObject({ events: 2, stage: 'finished' })
  })

  it('is new to several workers at once, and has all of its events in the end', async () => {
    // Journeys go on side by side, so that batches that land at once share some that are new to all of them.
    const stages = ['Finished Step', 'Finished User Steps', 'Finished Journey', 'Updated Journey']
    const inOrder = Array.from({ length: 30 }, (_, block) =>
      stages.flatMap((event, stage) =>
        Array.from({ length: 50 }, (_, n) => {
          const id = `side-by-side-${block}-${n}`
          const [delivery] = deliveries(id, [{ event, body: { stage }, at: stage, again: [] }])
          return delivery as NonNullable<typeof delivery>
        }),
      ),
    ).flat()
    const batches = Array.from({ length: Math.ceil(inOrder.length / 60) }, (_, n) =>
      inOrder.slice(60 * n, 60 * n + 60),
    )

    await land(batches, 3)

    const rows = await world.rows<{ events: number }>(
      `select events from journeys where journey_id like 'side-by-side-%'`,
    )
    expect(rows).toHaveLength(30 * 50)
    expect(new Set(rows.map(({ events }) => events))).toEqual(new Set([stages.length]))
  })

  it.each([
    ['new', 0],
    ['known', 1],
  ])('that is %s to two transactions at once has the events of both', async (name, earlier) => {
    const id = `contended-${name}`
    const stages = ['Finished Step', 'Finished User Steps', 'Finished Journey', 'Updated Journey'].map(
      (event) => ({
        event,
        body: { systemDecision: 'Complete' },
        at: 0,
        again: [],
      }),
    )
    const all = deliveries(id, stages)
    await land([all.slice(0, earlier)], 1)
    const { promise: isLanded, resolve: landed } = Promise.withResolvers<void>()
    const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>()
    const first = world.db.landingTransaction(async (connection) => {
      await landJobs(connection, all.slice(earlier, earlier + 1))
      landed()
      await mayCommit
    })
    await isLanded

    const second = land([all.slice(earlier + 1)], 1)
    await eventually(async () => {
      const waiting = await world.rows(`select from pg_stat_activity where wait_event_type = 'Lock'`)
      return waiting.length > 0
    })
    commit()
    await Promise.all([first, second])

    const row = await journeyRow(id)
    expect(row).toMatchObject({ events: stages.length, stage: 'finished' })
    expect(JSON.parse(String(row.digest))).toHaveLength(1 + stages.length)
  })

  it('is its own however long its id is, and is found by it', async () => {
    const start = 'j'.repeat(500)
    const finished = (systemDecision: string) => [
      { event: 'Finished Journey', body: { systemDecision }, at: 0, again: [] },
    ]
    await land([deliveries(`${start}A`, finished('Complete')), deliveries(`${start}B`, finished('Refer'))], 1)

    const [a, b] = await Promise.all([
      findJourneys(world.db, `${start}A`),
      findJourneys(world.db, `${start}B`),
    ])
    expect(a).toMatchObject({ total: 1, journeys: [{ finalDecision: 'Complete', events: 1 }] })
    expect(b).toMatchObject({ total: 1, journeys: [{ finalDecision: 'Refer', events: 1 }] })
    expect(a.journeys[0]?.journeyId).toHaveLength(500)
  })

  it('says when its row last changed', async () => {
    const [first, second] = deliveries('dated', [
      { event: 'Finished Step', body: {}, at: 0, again: [] },
      { event: 'Finished Journey', body: { systemDecision: 'Complete' }, at: 1, again: [] },
    ])
    const changedAt = async () =>
      (await world.rows<{ at: Date }>(`select updated_at as at from journeys where journey_id = 'dated'`))[0]
        ?.at
    await land([[first as never]], 1)
    const before = await changedAt()
    await land([[first as never]], 1)
    expect(await changedAt()).toEqual(before)
    await land([[second as never]], 1)
    expect(Number(await changedAt())).toBeGreaterThan(Number(before))
  })

  it('whose row can be neither made nor found fails its batch instead of holding it for ever', async () => {
    await world.rows(`create function refuse() returns trigger language plpgsql as 'begin return null; end'`)
    await world.rows(`create trigger refuse before insert on journeys for each row
      when (new.journey_id = 'refused') execute function refuse()`)
    const refused = deliveries('refused', [{ event: 'Finished Step', body: {}, at: 0, again: [] }])
    await expect(land([refused], 1)).rejects.toThrow(/neither made nor locked/)
  })

  it('shows the newest of very many events, as the last ones of all', async () => {
    const steps = Array.from({ length: 1_005 }, (_, n) => ({
      event: n === 0 ? 'AML Monitor Update' : 'Finished Step',
      body: n === 0 ? { updatedAMLVersionNumber: 2, systemDecision: 'Refer' } : {},
      at: n,
      again: [],
    }))
    const last = { event: 'AML Monitor Update', body: { updatedAMLVersionNumber: 1 }, at: 2_000, again: [] }
    await land([deliveries('long', [...steps, last])], 1)
    const [journey] = (await findJourneys(world.db, 'long')).journeys

    const story = await readJourneyStory(world.db, journey as never)

    expect(story).toMatchObject({ total: 1_006 })
    expect(story.events).toHaveLength(1_000)
    expect(story.events.at(-1)).toMatchObject({ amlVersion: 1 })
    const timeline = journeyTimeline(story.events, story.earlier)
    expect(timeline[0]?.changed).toEqual([])
    expect(timeline.at(-1)).toMatchObject({
      changed: [],
      supersededBecause: 'AML version 1 is older than version 2',
    })
  })

  it('is one of many of its reference, of which the last active ones are found', async () => {
    const finished = (n: number) => [
      { event: 'Finished Journey', body: { referenceNo: 'everybody' }, at: n, again: [] },
    ]
    await land([Array.from({ length: 130 }, (_, n) => deliveries(`of-many-${n}`, finished(n))).flat()], 1)
    const { journeys, total } = await findJourneys(world.db, 'everybody')
    expect(total).toBe(130)
    expect(journeys).toHaveLength(100)
    expect(journeys[0]?.journeyId).toBe('of-many-129')
  })

  it('is announced with what changed, when the transaction commits', async () => {
    const client = new pg.Client({ connectionString: world.databaseUrl })
    await client.connect()
    const heard: JourneyChange[] = []
    client.on('notification', ({ payload }) => heard.push(JSON.parse(payload ?? '')))
    await client.query('listen sluice_journeys')
    const step: Sent = { event: 'Finished Step', body: { referenceNo: 'R' }, at: 0, again: [] }
    const review: Sent = {
      event: 'Manually Reviewed',
      body: { systemDecision: 'Refer', manualDecision: 'Approved' },
      at: 10,
      again: [],
    }
    const [first, second] = deliveries('announced', [step, review])

    await land([[first as never], [second as never]], 1)

    await eventually(() => heard.length === 2)
    await client.end()
    expect(heard[0]).toMatchObject({ environment: 'live', journeyId: 'announced' })
    expect(heard[0]?.changed).toContain('stage')
    expect(heard[1]?.changed.toSorted()).toEqual(
      ['stage', 'systemDecision', 'manualDecision', 'finalDecision', 'events', 'lastEventAt'].sort(),
    )
  })

  it('needs attention while a conflict of its events is open, and not once it is discarded', async () => {
    const [first] = deliveries('torn', [
      { event: 'Finished Journey', body: { systemDecision: 'Complete' }, at: 0, again: [] },
    ])
    const [second] = deliveries('torn', [
      { event: 'Finished Journey', body: { systemDecision: 'Refer' }, at: 1, again: [] },
    ])
    await land([[first as never], [second as never]], 1)
    expect(await journeyRow('torn')).toMatchObject({
      system_decision: 'Complete',
      events: 1,
      needs_attention: 'another body came under the id of one of its events',
    })
    const [letter] = await world.rows<{ id: string }>(`select id from dead_letters where journey_id = 'torn'`)

    await discardDeadLetter(world.db, { id: Number(letter?.id), actor: 'tester' })

    expect(await journeyRow('torn')).toMatchObject({ needs_attention: null })
  })

  it('is another one in the other environment', async () => {
    const steps = deliveries('in-both', [
      { event: 'Finished Journey', body: { systemDecision: 'Complete' }, at: 0, again: [] },
    ])
    const sandbox = steps.map((delivery) => ({
      ...delivery,
      envelope: { ...delivery.envelope, env: 'sandbox' },
    }))
    await land([steps, sandbox], 2)
    const rows = await world.rows(
      `select environment, events from journeys where journey_id = 'in-both' order by 1`,
    )
    expect(rows).toEqual([
      { environment: 'live', events: 1 },
      { environment: 'sandbox', events: 1 },
    ])
  })

  it('is put right by a rebuild that runs beside a worker, which says how many rows it changed', async () => {
    const steps = (name: string) =>
      deliveries(name, [
        { event: 'Finished Journey', body: { systemDecision: 'Complete' }, at: 0, again: [] },
      ])
    await land([steps('altered'), steps('untouched')], 1)
    const before = await journeyRow('altered')
    await world.rows(
      `update journeys set final_decision = 'Approved', events = 9 where journey_id = 'altered'`,
    )
    await world.rows(`delete from journeys where journey_id = 'untouched'`)

    const [result] = await Promise.all([
      rebuildJourneys(world.db),
      land(
        Array.from({ length: 20 }, (_, n) => steps(`beside-${n}`)),
        2,
      ),
    ])

    expect(result.changed).toBe(2)
    expect(await journeyRow('altered')).toEqual(before)
    expect(await journeyRow('untouched')).toEqual(before)
    expect((await rebuildJourneys(world.db)).changed).toBe(0)
  })
})
