import { rebuildJourneys } from '@sluice/shared/db'
import { expect } from 'vitest'
import { BODIES } from './bodies.ts'
import type { Model } from './model.ts'
import type { System } from './system.ts'

/** Compares database and queue with the model, after everything has settled and the worker has ended. */
export async function compare(system: System, model: Model): Promise<void> {
  const { world } = system
  const landed = model.entries.filter((entry) => entry.landed)
  const letters = model.entries.flatMap(({ body, letter }) => (letter ? [{ body, ...letter }] : []))

  expect(await storedEvents(system)).toEqual(
    landed.map(({ body, duplicates }) => ({
      body: body.name,
      eventId: body.eventId,
      duplicates: expect.toBeOneOf(range(duplicates)),
    })),
  )
  expect(await storedLetters(system)).toEqual(
    letters.map(({ body, state, reasons, replays }) => ({
      body: body.name,
      state,
      reason: expect.toBeOneOf(reasons),
      replays,
    })),
  )
  expect(
    await world.rows('select action, count(*)::int from operator_actions group by 1 order by 1'),
  ).toEqual(
    (['discard', 'replay'] as const).flatMap((action) =>
      model.acted[action] > 0 ? [{ action, count: model.acted[action] }] : [],
    ),
  )
  expect(await world.rows('select job_id from inbox')).toEqual([])
  const left = await system.leftInQueue()
  if (left) expect(left).toEqual({ waiting: 0, active: 0, delayed: 0, failed: 0, redeliveries: 0 })
  const inJourneys = landed.filter(({ body }) => body.journeyId !== null).length
  expect(await world.rows('select coalesce(sum(events), 0)::int as events from journeys')).toEqual([
    { events: inJourneys },
  ])
  expect(await rebuildJourneys(world.db)).toMatchObject({ changed: 0 })
}

async function storedEvents({ world }: System) {
  const rows = await world.rows<Stored & { event_id: string | null; duplicates: number }>(
    'select environment, raw, event_id, duplicates from events',
  )
  return inOrder(rows).map(([body, row]) => ({ body, eventId: row.event_id, duplicates: row.duplicates }))
}

async function storedLetters({ world }: System) {
  const rows = await world.rows<Stored & { state: string; reason: string; replays: number }>(
    'select environment, raw, state, reason, replays from dead_letters',
  )
  return inOrder(rows).map(([body, { state, reason, replays }]) => ({ body, state, reason, replays }))
}

type Stored = { environment: string; raw: Buffer }

/** Sorts by the bodies with exactly these bytes. */
function inOrder<Row extends Stored>(rows: Row[]): [name: string, row: Row][] {
  const place = (row: Row) =>
    BODIES.findIndex((body) => body.environment === row.environment && body.bytes.equals(row.raw))
  return rows
    .toSorted((a, b) => place(a) - place(b))
    .map((row) => [BODIES[place(row)]?.name ?? `never sent: ${row.raw.toString('latin1')}`, row])
}

function range({ min, max }: { min: number; max: number }): number[] {
  return Array.from({ length: max - min + 1 }, (_, index) => min + index)
}
