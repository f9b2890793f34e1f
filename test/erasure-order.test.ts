import { randomUUID } from 'node:crypto'
import {
  createErasedSubjects,
  insertInbox,
  type Job,
  landJobs,
  letterOf,
  listDeadLetters,
  replayDeadLetter,
  takeInbox,
  writeDeadLetters,
} from '@sluice/shared/db'
import { parseJson, readEnvelope, writeEnvelope } from '@sluice/shared/envelope'
import { erase, planErasure, type Stores } from '@sluice/shared/operations'
import { createLog } from '@sluice/shared/runtime'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { found } from './support/stored-text.ts'

const log = createLog('test', 'fatal')
const JOURNEYS = ['ada', 'bob', 'cyd']
const WORKERS = [0, 1]

const step = fc.oneof(
  { weight: 4, arbitrary: stepOf('land', { isLost: fc.boolean() }) },
  { weight: 2, arbitrary: stepOf('begin') },
  { weight: 1, arbitrary: stepOf('bury') },
  { weight: 2, arbitrary: stepOf('wait') },
  { weight: 2, arbitrary: stepOf('drain') },
  { weight: 1, arbitrary: stepOf('replay') },
  { weight: 2, arbitrary: stepOf('erase') },
)

function stepOf<Fields extends Record<string, fc.Arbitrary<unknown>>>(kind: string, fields?: Fields) {
  return fc.record({
    kind: fc.constant(kind),
    worker: fc.constantFrom(...WORKERS),
    journey: fc.constantFrom(...JOURNEYS),
    n: fc.integer({ min: 0, max: 2 }),
    isLost: fc.constant(false),
    ...fields,
  })
}

const stack = new AsyncDisposableStack()
let world: World
let stores: Stores
beforeAll(async () => {
  world = stack.use(await createWorld('inbox'))
  stores = { db: world.db, queue: undefined, location: undefined }
})
afterAll(() => stack.disposeAsync())

it('in whatever order events arrive, land, fail, are replayed and erased, nothing erased is stored and nothing lands twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 14 }), async (steps) => {
      const run = `run${randomUUID().slice(0, 8)}`
      const system = createSystem(run)
      for (const each of steps) await system.take(each as Step)
      await system.settle()
      await expectNothingErased(system)
      await expectOthersOnce(system)
    }),
    { numRuns: 12 },
  )
})

type Step = { kind: string; worker: number; journey: string; n: number; isLost: boolean }
type System = ReturnType<typeof createSystem>

/** Two workers on one database, each with what it knows of erasures. */
function createSystem(run: string) {
  const { db } = world
  const workers = WORKERS.map(() => createErasedSubjects(log))
  const erased = new Set<string>()
  const landed = new Set<string>()
  const open: { end(): void; done: Promise<unknown> }[] = []
  const idOf = (journey: string) => `${journey}-${run}`

  function jobOf({ journey, n }: Step): Job {
    const body = {
      eventId: `${idOf(journey)}-${n}`,
      journeyId: idOf(journey),
      fullName: `Name ${idOf(journey)}`,
    }
    const raw = JSON.stringify({ event: 'Finished Step', body })
    const envelope = { v: 1 as const, env: 'live', at: Date.now(), deliveryId: randomUUID(), raw }
    return { jobId: `e-${body.eventId}`, envelope, via: 'inbox', duplicates: 0, replayOf: null }
  }
  const letter = (job: Job) =>
    letterOf(
      { ...job, envelope: writeEnvelope(job.envelope), attempts: 8 },
      'attempts_exhausted',
      new Error('x'),
    )

  /** `lost`: its worker dies before the commit. */
  async function land(
    worker: number,
    jobs: (taken: Job[]) => Job[],
    { lost = false, gate = Promise.resolve() } = {},
  ) {
    await db
      .landingTransaction(async (connection, now, erasures) => {
        const rows = await takeInbox(connection, 100)
        const taken = rows.flatMap((row): Job[] => {
          const envelope = readEnvelope(parseJson(row.envelope))
          return envelope ? [{ ...row, envelope, via: 'inbox' }] : []
        })
        const some = jobs(taken)
        const outcomes = await landJobs(connection, some, {
          now,
          erased: await (workers[worker] as (typeof workers)[0]).asOf(connection, erasures),
        })
        await gate
        if (lost) throw new Error('lost')
        return some.filter((_, at) => outcomes[at] === 'landed')
      })
      .then((some) => {
        for (const { jobId } of some) landed.add(jobId.replace(/-r\d+$|-d[0-9a-f-]{36}$/, ''))
      })
      .catch((error: Error) => {
        if (error.message !== 'lost') throw error
      })
  }

  async function endOpen(): Promise<void> {
    for (const { end, done } of open.splice(0)) {
      end()
      await done
    }
  }

  async function isRequested(last = 0): Promise<boolean> {
    return (await world.rows('select from erasures where n > $1', [last])).length > 0
  }

  async function take(given: Step): Promise<void> {
    const job = jobOf(given)
    switch (given.kind) {
      case 'land':
        await endOpen()
        return land(given.worker, (taken) => [...taken, job], { lost: given.isLost })
      case 'begin': {
        await endOpen()
        const gate = Promise.withResolvers<void>()
        open.push({ end: gate.resolve, done: land(given.worker, () => [job], { gate: gate.promise }) })
        return
      }
      case 'bury':
        await endOpen()
        await db.landingTransaction(async (connection, _now, erasures) => {
          const known = await (workers[given.worker] as (typeof workers)[0]).asOf(connection, erasures)
          await writeDeadLetters(connection, [letter(job)], { erased: known })
        })
        return
      case 'wait':
        return insertInbox(db.pool, [{ jobId: job.jobId, envelope: writeEnvelope(job.envelope) }])
      case 'drain':
        await endOpen()
        return land(given.worker, (taken) => taken)
      case 'replay':
        await endOpen()
        for (const { id } of await listDeadLetters(db, { state: 'open', limit: 5 }))
          await replayDeadLetter(db, { id, actor: 'test' })
        return
      case 'erase': {
        const plan = await planErasure(stores, { kind: 'journey', name: idOf(given.journey) })
        const erasing = erase(stores, plan, { actor: 'test' })
        // Those under way end after it has begun.
        await Promise.race([erasing, eventually(async () => (await isRequested(plan.last?.n)) && true)])
        await endOpen()
        await erasing
        erased.add(idOf(given.journey))
        return
      }
    }
  }
  return {
    take,
    erased,
    landed,
    idOf,
    async settle() {
      await endOpen()
      for (const worker of WORKERS) await land(worker, (taken) => taken)
    },
  }
}

async function expectNothingErased({ erased }: System): Promise<void> {
  if (erased.size > 0) expect(await found(world.db, [...erased])).toEqual([])
}

async function expectOthersOnce({ erased, landed, idOf }: System): Promise<void> {
  for (const journey of JOURNEYS.map(idOf)) {
    const wanted = erased.has(journey)
      ? []
      : [...landed].filter((id) => id.startsWith(`e-${journey}-`)).sort()
    const events = await world.rows<{ id: string }>(
      `select 'e-' || event_id as id from events where journey_id = $1 order by 1`,
      [journey],
    )
    expect(events.map(({ id }) => id)).toEqual(wanted)
    const rows = await world.rows('select events from journeys where journey_id = $1', [journey])
    expect(rows).toEqual(wanted.length > 0 ? [{ events: wanted.length }] : [])
  }
}
