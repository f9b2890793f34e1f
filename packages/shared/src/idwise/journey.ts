import type { EventKind } from './event.ts'
import {
  type JourneyEvent,
  RESUBMISSION_REQUESTED,
  reviewIn,
  surelyAfter,
  VERDICTS,
} from './journey-event.ts'
import { createRequests, type Requests } from './requests.ts'
import { type Claim, standing } from './standing.ts'

export type { JourneyEvent }

/**
 * A journey as its events tell it.
 *
 * - `stage`: `unknown` → `in_progress` → `submitted` → `finished` → `reviewed`; beside this way `update_required` while
 *   a resubmission or renewal is open and `renewal_overdue` once its deadline has passed.
 * - `resubmission`: `open` when a reviewer asks for steps, `done` when they came or a verdict fell.
 * - `renewal`: `open` → `overdue` when the deadline passes; either → `done` when the steps came.
 */
export type Journey = {
  readonly referenceNo: string | null
  readonly stage:
    | 'unknown'
    | 'in_progress'
    | 'submitted'
    | 'finished'
    | 'reviewed'
    | 'update_required'
    | 'renewal_overdue'
  readonly systemDecision: string | null
  readonly manualDecision: string | null
  readonly finalDecision: string | null
  readonly amlVersion: number | null
  readonly resubmission: 'open' | 'done' | null
  readonly renewal: 'open' | 'overdue' | 'done' | null
  readonly events: number
  readonly firstEventAt: number
  readonly lastEventAt: number
  /** What cannot be known from the events, in words; null where everything can. */
  readonly needsAttention: string | null
}

const KNOWN_DECISIONS = new Set(['Complete', 'Incomplete', 'Refer', RESUBMISSION_REQUESTED, ...VERDICTS])

/**
 * Folds a journey's events into its state: a pure function of the set of events and of when each arrived, whatever
 * the order in which they were landed.
 *
 * IDWise sends neither time nor sequence, and a redelivery may come half an hour late. So arrival decides only
 * between events that arrived further apart than that. Closer together, what the events say of themselves decides: the
 * stage of their type, the AML version, which decision an update replaced, that an answer follows its request. What
 * even that leaves open takes the most cautious value, and needs attention.
 */
export function foldJourney(given: readonly JourneyEvent[]): Journey {
  const events = given.toSorted(byArrival)
  const amlVersion = maximum(events.map((event) => event.amlVersion))
  // An AML update below the highest version is history, whenever it arrives.
  const heard = events.filter((event) => event.amlVersion === null || event.amlVersion === amlVersion)
  const requests = createRequests(heard)
  // Each update names the decision that it replaced: whatever still quotes one of these is older than the last update.
  const replaced = events.flatMap(({ previousSystemDecision }) => previousSystemDecision ?? [])
  const system = standing(
    heard.flatMap((event) =>
      claim(event.systemDecision, rankOf(event, requests), event, event.amlVersion === null ? [] : replaced),
    ),
  )
  const review = standing(heard.flatMap((event) => claim(reviewIn(event), rankOf(event, requests), event)))
  const reference = standing(events.flatMap((event) => claim(event.referenceNo, 0, event)))
  const finalDecision = review.value ?? system.value
  const resubmission = requests.resubmission()
  const renewal = requests.renewal()
  const attention = [
    ...events
      .filter(({ kind }) => kind === 'unrecognised')
      .map(({ event }) => `unknown event ${quoted(event)}`),
    ...[system.value, review.value]
      .filter((value) => value !== null && !KNOWN_DECISIONS.has(value))
      .map((value) => `unknown decision ${quoted(value)}`),
    ...contested('system decisions', system.contested),
    ...contested('manual decisions', review.contested),
    ...contested('reference numbers', reference.contested),
    ...overtaken(heard, system.value, requests),
    ...(events.some(({ conflict }) => conflict)
      ? ['another body came under the id of one of its events']
      : []),
  ]
  return {
    referenceNo: reference.value,
    stage: stageOf(events, { reviewed: review.value !== null, resubmission, renewal }),
    systemDecision: system.value,
    manualDecision: review.value,
    finalDecision,
    amlVersion,
    resubmission,
    renewal,
    events: events.reduce((sum, { count }) => sum + count, 0),
    firstEventAt: Math.min(...events.map(({ firstAt }) => firstAt)),
    lastEventAt: Math.max(...events.map(({ lastAt }) => lastAt)),
    needsAttention: attention.length > 0 ? [...new Set(attention)].sort().join('; ').slice(0, 1_000) : null,
  }
}

/** The natural order of the event types; undefined for those that decide nothing about the journey itself. */
const RANKS: Partial<Record<EventKind, number>> = {
  step_submitted: 1,
  finished_step: 1,
  finished_user_steps: 2,
  finished_journey: 3,
  verification_update_required: 4,
  updated_journey: 5,
  manually_reviewed: 5,
  aml_monitor_update: 5,
}
const COMPLETED_AGAIN = 4.5

function claim(
  value: string | null,
  rank: number | undefined,
  { lastAt }: JourneyEvent,
  replaces: readonly string[] = [],
): Claim[] {
  return value === null || rank === undefined ? [] : [{ value, rank, at: lastAt, replaces }]
}

function rankOf(event: JourneyEvent, requests: Requests): number | undefined {
  if (requests.isSecondCompletion(event)) return COMPLETED_AGAIN
  const rank = RANKS[event.kind]
  // A review that asks for steps precedes whatever answers it.
  return rank === 5 && event.manualDecision === RESUBMISSION_REQUESTED ? 4 : rank
}

/** A completion that came late and says otherwise: overtaken by what came before it, or news? */
function overtaken(events: readonly JourneyEvent[], value: string | null, requests: Requests): string[] {
  const later = events.filter((event) => (RANKS[event.kind] ?? 0) > 3 && event.systemDecision !== null)
  return events
    .filter((event) => event.kind === 'finished_journey' && event.systemDecision !== value)
    .filter((event) => !requests.isSecondCompletion(event))
    .filter((event) =>
      later.some(
        (other) => event.lastAt > other.lastAt && !surelyAfter(event, other) && !replacedBy(other, event),
      ),
    )
    .map(
      ({ systemDecision }) =>
        `a Finished Journey that says ${quoted(systemDecision)} came after later events`,
    )
}

function replacedBy(update: JourneyEvent, event: JourneyEvent): boolean {
  return update.amlVersion !== null && update.previousSystemDecision === event.systemDecision
}

function stageOf(
  events: readonly JourneyEvent[],
  state: { reviewed: boolean; resubmission: Journey['resubmission']; renewal: Journey['renewal'] },
): Journey['stage'] {
  if (state.renewal === 'overdue') return 'renewal_overdue'
  if (state.renewal === 'open' || state.resubmission === 'open') return 'update_required'
  if (state.reviewed) return 'reviewed'
  const kinds = new Set(events.map(({ kind }) => kind))
  const last = Math.max(...events.map(({ kind }) => RANKS[kind] ?? 0))
  if (last >= 3 || kinds.has('finished_ongoing_check') || kinds.has('kyc_renewal_deadline_exceeded'))
    return 'finished'
  return last === 2 ? 'submitted' : last === 1 ? 'in_progress' : 'unknown'
}

/** By arrival, then by content: the same order whatever the order they were given in. */
function byArrival(a: JourneyEvent, b: JourneyEvent): number {
  return a.lastAt - b.lastAt || (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
}

function contested(what: string, values: readonly string[]): string[] {
  return values.length > 1
    ? [`${what} ${values.map(quoted).join(' and ')} came too close together to know the last one`]
    : []
}

function maximum(numbers: readonly (number | null)[]): number | null {
  const given = numbers.filter((number) => number !== null)
  return given.length > 0 ? Math.max(...given) : null
}

function quoted(text: string | null): string {
  return `"${(text ?? '').slice(0, 80)}"`
}
