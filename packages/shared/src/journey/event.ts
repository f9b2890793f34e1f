import type { EventKind, IdwiseEvent } from '../idwise/event.ts'

type Fact<Name extends string, Value> = { readonly name: Name; readonly sql: string; readonly absent: Value }
const fact = <Name extends string, Value>(name: Name, sql: string, absent: Value): Fact<Name, Value> => ({
  name,
  sql,
  absent,
})
const text = <Name extends string>(name: Name, sql: string) => fact<Name, string | null>(name, sql, null)
const integer = <Name extends string>(name: Name, sql: string) => fact<Name, number | null>(name, sql, null)
const flag = <Name extends string>(name: Name, sql: string) => fact<Name, boolean>(name, sql, false)

/** SQL: a row of `dead_letters` is a conflict that nobody has decided about. */
export const OPEN_CONFLICT = "reason = 'conflict' and state in ('open', 'replaying')"

/**
 * The facts of a journey's event: the fold looks at nothing else. `sql` reads a fact from a row `e` of `events`.
 *
 * A new fact goes here. The compiler then asks for it in the functions below, and a test for a new version of the
 * digest. Journeys keep the facts of events that were dropped long ago (`journeys.base`): there a fact that is newer is
 * missing, and is read as null or false. So null and false must mean that nothing is known.
 */
export const FACTS = [
  fact<'kind', EventKind>('kind', 'e.kind', 'unrecognised'),
  /** The type's name as received. */
  text('event', 'e.event'),
  text('referenceNo', 'e.reference_no'),
  text('systemDecision', 'e.system_decision'),
  text('manualDecision', 'e.manual_decision'),
  text('finalDecision', 'e.final_decision'),
  /** It has a final decision and no manual one at all, not even null: the oldest shape. */
  flag(
    'finalWithoutManual',
    `case when e.final_decision is not null and e.manual_decision is null then coalesce(
    jsonb_typeof(e.body->'body') = 'object' and not e.body->'body' ? 'manualDecision', false) else false end`,
  ),
  text('action', "e.details->>'action'"),
  text('trigger', "e.details->>'trigger'"),
  text('previousSystemDecision', "e.details->>'previousSystemDecision'"),
  integer('amlVersion', "(e.details->>'updatedAMLVersionNumber')::float8"),
  /** Another body came under the event's id, and nobody has decided about it yet. */
  flag(
    'conflict',
    `exists (select from dead_letters d where d.event_key = e.event_key and ${OPEN_CONFLICT})`,
  ),
] as const

type ValueOf<Some> = Some extends Fact<string, infer Value> ? Value : never
type ValuesOf<List> = { -readonly [Index in keyof List]: ValueOf<List[Index]> }
type Values = ValuesOf<typeof FACTS>

/** One stored event of a journey, or several with equal facts. */
export type JourneyEvent = {
  readonly [Some in (typeof FACTS)[number] as Some['name']]: ValueOf<Some>
} & {
  /** When the first and the last of them were received, ms since 1970. */
  readonly firstAt: number
  readonly lastAt: number
  readonly count: number
}

const ABSENT = Object.fromEntries(FACTS.map(({ name, absent }) => [name, absent]))

/** An event as an earlier release has stored it: facts that it did not know are missing. */
export type StoredJourneyEvent = Partial<JourneyEvent> & Pick<JourneyEvent, 'firstAt' | 'lastAt' | 'count'>

export function withAllFacts(stored: StoredJourneyEvent): JourneyEvent {
  return { ...ABSENT, ...stored } as JourneyEvent
}

/** A journey's event as a list: the facts in their order, then its times and its count. */
export type Line = [...Values, firstAt: number, lastAt: number, count: number]

// The functions below name each fact, since a loop over the names takes ten times as long for each event that lands.

/** The event of a row that has just been inserted, as it would be read back. */
export function toJourneyEvent(row: { readonly event: IdwiseEvent; readonly at: number }): JourneyEvent {
  const { kind, event, referenceNo, systemDecision, manualDecision, finalDecision } = row.event
  const { finalWithoutManual, details } = row.event
  return {
    kind,
    event,
    referenceNo,
    systemDecision,
    manualDecision,
    finalDecision,
    finalWithoutManual,
    action: details?.action ?? null,
    trigger: details?.trigger ?? null,
    previousSystemDecision: details?.previousSystemDecision ?? null,
    amlVersion: details?.updatedAMLVersionNumber ?? null,
    conflict: false,
    firstAt: row.at,
    lastAt: row.at,
    count: 1,
  }
}

export function factsOf(event: JourneyEvent): Values {
  return [
    event.kind,
    event.event,
    event.referenceNo,
    event.systemDecision,
    event.manualDecision,
    event.finalDecision,
    event.finalWithoutManual,
    event.action,
    event.trigger,
    event.previousSystemDecision,
    event.amlVersion,
    event.conflict,
  ]
}

export function toLine(event: JourneyEvent): Line {
  return [...factsOf(event), event.firstAt, event.lastAt, event.count]
}

export function fromLine(line: Line): JourneyEvent {
  return {
    kind: line[0],
    event: line[1],
    referenceNo: line[2],
    systemDecision: line[3],
    manualDecision: line[4],
    finalDecision: line[5],
    finalWithoutManual: line[6],
    action: line[7],
    trigger: line[8],
    previousSystemDecision: line[9],
    amlVersion: line[10],
    conflict: line[11],
    firstAt: line[12],
    lastAt: line[13],
    count: line[14],
  }
}
