import {
  contradictsItself,
  decides,
  gathered,
  type JourneyEvent,
  RESUBMISSION_REQUESTED,
  reviewIn,
  surelyAfter,
  tooClose,
  VERDICTS,
} from './journey-event.ts'
import { RANKS, rankOf, reviewRankOf } from './rank.ts'
import { createRequests, type Requests } from './requests.ts'
import { type Claim, mostCautious, standing } from './standing.ts'

export { gathered, type JourneyEvent }

/**
 * A journey as its events tell it.
 *
 * - `stage`: `unknown` → `in_progress` → `submitted` → `finished` → `reviewed`; beside this way `update_required` while
 *   a resubmission or renewal is open and `renewal_overdue` once its deadline has passed. `reviewed` means a verdict.
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

const SYSTEM_DECISIONS: ReadonlySet<string> = new Set(['Complete', 'Incomplete', 'Refer'])
const MANUAL_DECISIONS: ReadonlySet<string> = new Set([...VERDICTS, RESUBMISSION_REQUESTED])

/**
 * Folds a journey's events into its state: a pure function of the set of events and of when each arrived, whatever
 * the order in which they were landed, and whether or not those that say the same are given as one.
 *
 * IDWise sends neither time nor sequence, and a redelivery may come half an hour late. So arrival decides only
 * between events that arrived further apart than that. Closer together, what the events say of themselves decides: the
 * stage of their type, the AML version, which decision an update replaced, that an answer follows its request. What
 * even that leaves open takes the most cautious value, and needs attention.
 */
export function foldJourney(events: readonly JourneyEvent[]): Journey {
  return foldGathered(gathered(events))
}

/** Likewise, of events that `gathered` has given. */
export function foldGathered(events: readonly JourneyEvent[]): Journey {
  const amlVersion = maximum(events.map((event) => event.amlVersion))
  // An AML update below the highest version is history, whenever it arrives.
  const heard = events.filter((event) => event.amlVersion === null || event.amlVersion === amlVersion)
  const requests = createRequests(heard)
  const updates = readUpdates(events)
  const system = standing(
    heard.flatMap((event) =>
      claim(event.systemDecision, rankOf(event, requests), event, {
        replaces: event.amlVersion === null ? [] : updates.replaced,
        replaceable: isQuote(event, requests) || updates.isOnlySource(event),
      }),
    ),
  )
  const review = standing(
    heard.flatMap((event) => claim(reviewIn(event), reviewRankOf(event, requests), event)),
  )
  const reference = standing(events.flatMap((event) => claim(event.referenceNo, 0, event)))
  const contradicting = heard.filter((event) => isContradiction(event, heard))
  const { resubmission, renewal } = requests
  // A request for steps is no verdict: once they have come, the system's decision is the journey's.
  const isReviewed =
    review.value !== null && (review.value !== RESUBMISSION_REQUESTED || resubmission.state !== 'done')
  const attention = [
    ...events
      .filter(({ kind }) => kind === 'unrecognised')
      .map(({ event }) => `unknown event ${quoted(event)}`),
    ...unknown('system', system.value, SYSTEM_DECISIONS),
    ...unknown('manual', review.value, MANUAL_DECISIONS),
    ...contested('system decisions', system.contested),
    ...contested('manual decisions', review.contested),
    ...contested('reference numbers', reference.contested),
    ...contradicting.map(
      ({ finalDecision }) =>
        `a final decision ${quoted(finalDecision)} does not follow from the decisions beside it`,
    ),
    ...overtaken(heard, system.value, { requests, updates }),
    ...(resubmission.unsure || renewal.unsure
      ? ['what may answer a request for steps came too close to it to know which was first']
      : []),
    ...(events.some(({ conflict }) => conflict)
      ? ['another body came under the id of one of its events']
      : []),
  ]
  return {
    referenceNo: reference.value,
    stage: stageOf(events, {
      reviewed: VERDICTS.has(review.value ?? ''),
      resubmission: resubmission.state,
      renewal: renewal.state,
    }),
    systemDecision: system.value,
    manualDecision: review.value,
    finalDecision: mostCautious([
      isReviewed ? review.value : system.value,
      ...contradicting.map((event) => event.finalDecision),
    ]),
    amlVersion,
    resubmission: resubmission.state,
    renewal: renewal.state,
    events: events.reduce((sum, { count }) => sum + count, 0),
    firstEventAt: Math.min(...events.map(({ firstAt }) => firstAt)),
    lastEventAt: Math.max(...events.map(({ lastAt }) => lastAt)),
    needsAttention: attention.length > 0 ? [...new Set(attention)].sort().join('; ').slice(0, 1_000) : null,
  }
}

function claim(
  value: string | null,
  rank: number | undefined,
  { lastAt }: JourneyEvent,
  place: Pick<Claim, 'replaces' | 'replaceable'> = { replaces: [], replaceable: false },
): Claim[] {
  return value === null || rank === undefined ? [] : [{ value, rank, at: lastAt, ...place }]
}

type Updates = {
  /** Each AML update names the decision that it replaced: what still quotes one of these is older than the last. */
  readonly replaced: readonly string[]
  /** Whether no other event can have brought its decision about. */
  isOnlySource(event: JourneyEvent): boolean
}

function readUpdates(events: readonly JourneyEvent[]): Updates {
  const sources = events.filter(decides)
  return {
    replaced: events.flatMap(({ previousSystemDecision }) => previousSystemDecision ?? []),
    isOnlySource({ systemDecision }) {
      const alike = sources.filter((source) => source.systemDecision === systemDecision)
      return alike.reduce((sum, { count }) => sum + count, 0) <= 1
    },
  }
}

/** Whether it only repeats a decision; a completion does, unless it answers a request. */
function isQuote(event: JourneyEvent, requests: Requests): boolean {
  return !decides(event) || (event.kind === 'finished_journey' && !requests.isSecondCompletion(event))
}

/**
 * A completion that says otherwise and is too close to what overrules it: overtaken by it, or news? The journey's first
 * one is neither, and one that a request quotes came before the request.
 */
function overtaken(
  events: readonly JourneyEvent[],
  value: string | null,
  { requests, updates }: { requests: Requests; updates: Updates },
): string[] {
  const later = events.filter((event) => (RANKS[event.kind] ?? 0) > 3 && event.systemDecision !== null)
  const mayBeNews = (event: JourneyEvent) =>
    requests.isSecondCompletion(event) ||
    (!requests.isQuoted(event) && (requests.mayFollowAnother(event) || requests.isCloseToRequest(event)))
  const isReplaced = (event: JourneyEvent) =>
    updates.replaced.includes(event.systemDecision ?? '') &&
    (isQuote(event, requests) || updates.isOnlySource(event))
  return events
    .filter(({ kind, systemDecision }) => kind === 'finished_journey' && systemDecision !== null)
    .filter((event) => event.systemDecision !== value && !isReplaced(event) && mayBeNews(event))
    .filter((event) => !later.some((other) => surelyAfter(other, event)))
    .filter((event) =>
      later.some((other) => other.systemDecision !== event.systemDecision && tooClose(other, event)),
    )
    .map(
      ({ systemDecision }) =>
        `a Finished Journey that says ${quoted(systemDecision)} came too close to later events`,
    )
}

/** A final decision that no rule explains, until a later event says plainly what holds. */
function isContradiction(event: JourneyEvent, events: readonly JourneyEvent[]): boolean {
  const isTelling = (other: JourneyEvent) => RANKS[other.kind] !== undefined && other.finalDecision !== null
  return (
    isTelling(event) &&
    contradictsItself(event) &&
    !events.some((other) => isTelling(other) && !contradictsItself(other) && surelyAfter(other, event))
  )
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

function unknown(what: string, value: string | null, known: ReadonlySet<string>): string[] {
  return value === null || known.has(value) ? [] : [`unknown ${what} decision ${quoted(value)}`]
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
