import { type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import { textArray } from './array.ts'
import { type Enclosed, readEnclosed } from './enclosed.ts'
import { columnsOf, type JourneyName, nameOf } from './journey-rows.ts'
import { mentions } from './mentions.ts'
import type { Connection } from './pool.ts'

/** What is looked for, to be erased: with ids in clear. */
export type Wanted = {
  readonly journeys: readonly JourneyName[]
  readonly references: readonly { readonly environment: string; readonly referenceNo: string }[]
  /** Looked for in bodies that cannot be read. */
  readonly names: readonly string[]
}

/** A row of `events` by its place, as Postgres writes the time. */
export type FoundEvent = {
  readonly eventKey: Buffer
  readonly landedAt: string
  readonly n: number
  readonly journeyId: string | null
}
/** `eventKey` is null if the body has no event that can be read. */
export type FoundLetter = { readonly id: number; readonly eventKey: Buffer | null }
export type FoundInboxRow = {
  readonly jobId: string
  readonly eventKey: Buffer | null
  readonly journey: JourneyName | null
}

/** Whether the data of a job, an inbox row or a dead letter belongs to what is looked for, as text. */
export type Matcher = (envelope: string) => { readonly enclosed: Enclosed | undefined } | undefined

export function createMatcher(wanted: Wanted): Matcher {
  const isWanted = createBodyMatcher(wanted)
  return (envelope) => {
    const enclosed = readEnclosed(envelope)
    const matches = enclosed
      ? isWanted(enclosed.environment, enclosed.raw, enclosed.event)
      : mentions(Buffer.from(envelope), wanted.names)
    return matches ? { enclosed } : undefined
  }
}

/** Whether a body belongs to what is looked for. One without names does if its bytes contain any of these. */
export function createBodyMatcher({
  journeys,
  references,
  names,
}: Wanted): (environment: string, raw: Buffer, event?: IdwiseEvent) => boolean {
  const ofJourney = new Set(journeys.map(nameOf))
  const ofReference = new Set(
    references.map(({ environment, referenceNo }) => `${environment} ${referenceNo}`),
  )
  const environments = new Set([...journeys, ...references].map(({ environment }) => environment))
  return (environment, raw, { journeyId, referenceNo, details } = parseEvent(raw)) => {
    if (journeyId === null && referenceNo === null) {
      return environments.has(environment) && mentions(raw, names)
    }
    const journey = journeyId ?? details?.spotCheckJourneyId ?? ''
    return (
      ofJourney.has(nameOf({ environment, journeyId: journey })) ||
      ofReference.has(`${environment} ${referenceNo}`)
    )
  }
}

const PLACE = `e.event_key as "eventKey", e.processed_at::text as "landedAt", e.n, e.journey_id as "journeyId"`
const OF_JOURNEYS = `select ${PLACE} from unnest($1::text[], $2::text[]) as wanted(environment, journey_id),
  lateral (select * from events where events.journey_id = wanted.journey_id
    and events.environment = wanted.environment offset 0) as e`
const OF_REFERENCES = `select ${PLACE} from unnest($1::text[], $2::text[]) as wanted(environment, reference_no),
  lateral (select * from events where events.reference_no = wanted.reference_no and events.journey_id is null
    and events.environment = wanted.environment offset 0) as e`
/** A spot check has no journey id, but names a journey in its details. They have an index of their own. */
const SPOT_CHECKS = `select ${PLACE} from events e
  where e.journey_id is null and e.reference_no is not null and (e.environment, e.details->>'spotCheckJourneyId')
    in (select * from unnest($1::text[], $2::text[]))`
const UNREAD = `select ${PLACE}, e.raw, e.environment from events e where e.kind = 'unrecognised'
  and e.journey_id is null and e.reference_no is null and (e.processed_at, e.n, e.event_key) > ($1, $2, $3)
  order by e.processed_at, e.n, e.event_key limit $4`
const PAGE = 200

export async function searchEvents(connection: Connection, wanted: Wanted): Promise<FoundEvent[]> {
  const { journeys, references } = wanted
  const ofReferences = [
    textArray(references.map(({ environment }) => environment)),
    textArray(references.map(({ referenceNo }) => referenceNo)),
  ]
  const found: FoundEvent[] = []
  for (const [text, values] of [
    [OF_JOURNEYS, columnsOf(journeys)],
    [OF_REFERENCES, ofReferences],
    [SPOT_CHECKS, columnsOf(journeys)],
  ] as const) {
    found.push(...(await connection.query<FoundEvent>(text, [...values])).rows)
  }
  found.push(...(await searchUnread(connection, wanted)))
  return [...new Map(found.map((event) => [event.eventKey.toString('latin1'), event])).values()]
}

type Unread = FoundEvent & { readonly raw: Buffer; readonly environment: string }

async function searchUnread(connection: Connection, wanted: Wanted): Promise<FoundEvent[]> {
  const isWanted = createBodyMatcher(wanted)
  const found: FoundEvent[] = []
  let after: readonly unknown[] = ['-infinity', 0, Buffer.alloc(0)]
  for (;;) {
    const { rows } = await connection.query<Unread>(UNREAD, [...after, PAGE])
    for (const { raw, environment, ...event } of rows) if (isWanted(environment, raw)) found.push(event)
    const last = rows.at(-1)
    if (!last || rows.length < PAGE) return found
    after = [last.landedAt, last.n, last.eventKey]
  }
}

const LETTERS = `select id::float8 as id, event_key as "eventKey" from dead_letters d where exists (
    select from unnest($1::text[], $2::text[]) as w(environment, journey_id)
    where d.journey_id = w.journey_id and d.environment = w.environment)
  or exists (select from unnest($3::text[], $4::text[]) as w(environment, reference_no)
    where d.reference_no = w.reference_no and d.environment = w.environment)`
const NAMELESS_LETTERS = `select id::float8 as id, envelope from dead_letters
  where journey_id is null and id > $1 order by id limit ${PAGE}`

export async function searchLetters(connection: Connection, wanted: Wanted): Promise<FoundLetter[]> {
  const { rows } = await connection.query<FoundLetter>(LETTERS, namesOf(wanted))
  const found = new Map(rows.map((letter) => [letter.id, letter]))
  const match = createMatcher(wanted)
  for (let after = 0; ; ) {
    const page = await connection.query<{ id: number; envelope: string }>(NAMELESS_LETTERS, [after])
    for (const { id, envelope } of page.rows) {
      const matched = match(envelope)
      if (matched) found.set(id, { id, eventKey: keyOf(matched.enclosed) })
    }
    if (page.rows.length < PAGE) return [...found.values()]
    after = page.rows.at(-1)?.id as number
  }
}

/** SQL: a row `e` of a table whose rows are found by their names alone, given `namesOf`. */
export const OF_WANTED_BY_NAME = `(e.environment, e.journey_id) in (select * from unnest($1::text[], $2::text[]))
  or (e.environment, e.reference_no) in (select * from unnest($3::text[], $4::text[]))`

export function namesOf({ journeys, references }: Wanted): unknown[] {
  return [
    ...columnsOf(journeys),
    textArray(references.map(({ environment }) => environment)),
    textArray(references.map(({ referenceNo }) => referenceNo)),
  ]
}

export async function countRefusals(connection: Connection, wanted: Wanted): Promise<number> {
  const { rows } = await connection.query<{ n: number }>(
    `select count(*)::float8 as n from refusals e where ${OF_WANTED_BY_NAME}`,
    namesOf(wanted),
  )
  return rows[0]?.n ?? 0
}

export async function searchInbox(connection: Connection, wanted: Wanted): Promise<FoundInboxRow[]> {
  const match = createMatcher(wanted)
  const found: FoundInboxRow[] = []
  for (let after = ''; ; ) {
    const { rows } = await connection.query<{ jobId: string; envelope: string }>(
      `select job_id as "jobId", envelope from inbox where job_id > $1 order by job_id limit ${PAGE}`,
      [after],
    )
    for (const { jobId, envelope } of rows) {
      const matched = match(envelope)
      if (!matched) continue
      const { enclosed } = matched
      found.push({ jobId, eventKey: keyOf(enclosed), journey: journeyOf(enclosed) })
    }
    if (rows.length < PAGE) return found
    after = rows.at(-1)?.jobId as string
  }
}

/** The journey of an event that was found; null if it names none. */
export function journeyOf(enclosed: Enclosed | undefined): JourneyName | null {
  const journeyId = enclosed?.event.journeyId ?? null
  return enclosed && journeyId !== null ? { environment: enclosed.environment, journeyId } : null
}

/** The key of an event that must not land any more; null for one without id, whose key is made when it lands. */
export function keyOf(enclosed: Enclosed | undefined): Buffer | null {
  return enclosed && enclosed.event.eventId !== null ? enclosed.eventKey : null
}
