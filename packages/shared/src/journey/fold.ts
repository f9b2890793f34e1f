import { contested, inWords, quoted, unknown } from './attention.ts'
import { type Claim, mostCautious, standing } from './claims.ts'
import { contradicting, overtaken } from './contradictions.ts'
import { coalesce, type JourneyEvent, RESUBMISSION_REQUESTED, reviewIn, VERDICTS } from './event.ts'
import { PRECEDENCE, precedenceOf, reviewPrecedenceOf } from './precedence.ts'
import { createReplaced } from './replaced.ts'
import { findUpdateRequests } from './update-requests.ts'

export { coalesce, type JourneyEvent }

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
  return foldCoalesced(coalesce(events))
}

/** Likewise, of events that `coalesce` has given. */
export function foldCoalesced(events: readonly JourneyEvent[]): Journey {
  const amlVersion = latestVersion(events)
  // An AML update below the highest version is history, whenever it arrives.
  const heard =
    amlVersion === null ? events : events.filter((event) => (event.amlVersion ?? amlVersion) === amlVersion)
  const requests = findUpdateRequests(heard)
  const isReplaced = createReplaced(events, requests)
  const system = standing(
    claimsOf(
      heard,
      ({ systemDecision }) => systemDecision,
      (event) => precedenceOf(event, requests),
      isReplaced,
    ),
  )
  const review = standing(claimsOf(heard, reviewIn, (event) => reviewPrecedenceOf(event, requests)))
  const reference = standing(claimsOf(events, ({ referenceNo }) => referenceNo))
  const { resubmission, renewal } = requests
  const contradictions = contradicting(heard)
  // A request for steps is no verdict: once they have come, the system's decision is the journey's.
  const isReviewed =
    review.value !== null && (review.value !== RESUBMISSION_REQUESTED || resubmission.state !== 'done')
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
      ...contradictions.map((event) => event.finalDecision),
    ]),
    amlVersion,
    resubmission: resubmission.state,
    renewal: renewal.state,
    ...extentOf(events),
    needsAttention: inWords([
      ...events
        .filter(({ kind }) => kind === 'unrecognised')
        .map(({ event }) => `unknown event ${quoted(event)}`),
      ...unknown('system', system.value, SYSTEM_DECISIONS),
      ...unknown('manual', review.value, MANUAL_DECISIONS),
      ...contested('system decisions', system.contested),
      ...contested('manual decisions', review.contested),
      ...contested('reference numbers', reference.contested),
      ...contradictions.map(
        ({ finalDecision }) =>
          `a final decision ${quoted(finalDecision)} does not follow from the decisions beside it`,
      ),
      ...overtaken(heard, system.value, { requests, isReplaced }).map(
        ({ systemDecision }) =>
          `a Finished Journey that says ${quoted(systemDecision)} came too close to later events`,
      ),
      ...(resubmission.unsure || renewal.unsure
        ? ['what may answer a request for steps came too close to it to know which was first']
        : []),
      ...(events.some(({ conflict }) => conflict)
        ? ['another body came under the id of one of its events']
        : []),
    ]),
  }
}

function claimsOf(
  events: readonly JourneyEvent[],
  valueIn: (event: JourneyEvent) => string | null,
  precedenceOf: (event: JourneyEvent) => number | undefined = () => 0,
  isReplaced: (event: JourneyEvent) => boolean = () => false,
): Claim[] {
  const claims: Claim[] = []
  for (const event of events) {
    const value = valueIn(event)
    const rank = value === null ? undefined : precedenceOf(event)
    if (value === null || rank === undefined) continue
    const { lastAt, amlVersion } = event
    claims.push({ value, rank, lastAt, replaces: amlVersion !== null, isReplaced: isReplaced(event) })
  }
  return claims
}

function stageOf(
  events: readonly JourneyEvent[],
  state: { reviewed: boolean; resubmission: Journey['resubmission']; renewal: Journey['renewal'] },
): Journey['stage'] {
  if (state.renewal === 'overdue') return 'renewal_overdue'
  if (state.renewal === 'open' || state.resubmission === 'open') return 'update_required'
  if (state.reviewed) return 'reviewed'
  const kinds = new Set(events.map(({ kind }) => kind))
  const last = Math.max(...[...kinds].map((kind) => PRECEDENCE[kind] ?? 0))
  if (last >= 3 || kinds.has('finished_ongoing_check') || kinds.has('kyc_renewal_deadline_exceeded'))
    return 'finished'
  return last === 2 ? 'submitted' : last === 1 ? 'in_progress' : 'unknown'
}

/** How many events there are, and when they came. */
function extentOf(events: readonly JourneyEvent[]): Pick<Journey, 'events' | 'firstEventAt' | 'lastEventAt'> {
  let total = 0
  let firstEventAt = Infinity
  let lastEventAt = -Infinity
  for (const { count, firstAt, lastAt } of events) {
    total += count
    firstEventAt = Math.min(firstEventAt, firstAt)
    lastEventAt = Math.max(lastEventAt, lastAt)
  }
  return { events: total, firstEventAt, lastEventAt }
}

function latestVersion(events: readonly JourneyEvent[]): number | null {
  let latest: number | null = null
  for (const { amlVersion } of events) {
    if (amlVersion !== null && (latest === null || amlVersion > latest)) latest = amlVersion
  }
  return latest
}
