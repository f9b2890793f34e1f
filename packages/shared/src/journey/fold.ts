import { MANUAL_DECISIONS, SYSTEM_DECISIONS } from '../idwise/registry.ts'
import { contested, describeAttention, quoted, unknown } from './attention.ts'
import { type Claim, mostCautious, resolveClaims } from './claims.ts'
import { coalesce } from './coalesce.ts'
import { contradictions, doubtfulCompletions } from './contradictions.ts'
import type { JourneyEvent } from './event.ts'
import { RESUBMISSION_REQUESTED, reviewIn, VERDICTS } from './event-rules.ts'
import { PRECEDENCE, precedenceOf, precedenceOfKind, reviewPrecedenceOf } from './precedence.ts'
import { createReplaced } from './replaced.ts'
import { findUpdateRequests } from './update-requests.ts'

/**
 * The state of a journey.
 *
 * - `stage`: `unknown` → `in_progress` → `submitted` → `finished` → `reviewed`, which means a verdict. It is
 *   `update_required` while a resubmission or renewal is open, and `renewal_overdue` after a renewal's deadline.
 * - `resubmission`: `open` when a reviewer asks for steps, `done` when the user has done them or a verdict fell.
 * - `renewal`: `open` → `overdue` when the deadline passes; either → `done` when the user has done the steps.
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
  /** When its first and its last event were received, ms since 1970. */
  readonly firstEventAt: number
  readonly lastEventAt: number
  /** In words, what the events leave open; null if nothing. */
  readonly needsAttention: string | null
}

const KNOWN_SYSTEM: ReadonlySet<string> = new Set(SYSTEM_DECISIONS)
const KNOWN_MANUAL: ReadonlySet<string> = new Set(MANUAL_DECISIONS)

/**
 * Folds a journey's events into its state: a pure function of the set of events and of when each was received. The
 * order in which they landed does not matter.
 *
 * IDWise sends neither time nor sequence, and a redelivery may come half an hour late. So the times of receipt decide
 * only between events that are further apart than that. If they are closer, the events themselves decide: the natural
 * order of their kinds, the AML version, the decision that an update replaced, an answer that follows its request. If
 * even that leaves a value open, the most cautious one wins, and the journey needs attention.
 */
export function foldJourney(events: readonly JourneyEvent[]): Journey {
  return foldCoalesced(coalesce(events))
}

/** The same for events that `coalesce` has returned. */
export function foldCoalesced(events: readonly JourneyEvent[]): Journey {
  const amlVersion = latestVersion(events)
  // An AML update below the highest version is history, even if it is received last.
  const current =
    amlVersion === null ? events : events.filter((event) => (event.amlVersion ?? amlVersion) === amlVersion)
  const updateRequests = findUpdateRequests(current)
  const { resubmission, renewal } = updateRequests
  const isReplaced = createReplaced(events, updateRequests)
  const system = resolveClaims(
    claimsOf(
      current,
      ({ systemDecision }) => systemDecision,
      (event) => precedenceOf(event, updateRequests),
      isReplaced,
    ),
  )
  const review = resolveClaims(
    claimsOf(current, reviewIn, (event) => reviewPrecedenceOf(event, updateRequests)),
  )
  const reference = resolveClaims(claimsOf(events, ({ referenceNo }) => referenceNo))
  const contradicting = contradictions(current)
  const doubtful = doubtfulCompletions(current, system.value, { updateRequests, isReplaced })
  // A request for steps is no verdict: once they are done, the system's decision is the journey's.
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
      ...contradicting.map((event) => event.finalDecision),
    ]),
    amlVersion,
    resubmission: resubmission.state,
    renewal: renewal.state,
    ...extentOf(events),
    needsAttention: describeAttention([
      ...events
        .filter(({ kind }) => kind === 'unrecognised')
        .map(({ event }) => `unknown event ${quoted(event)}`),
      ...unknown('system', system.value, KNOWN_SYSTEM),
      ...unknown('manual', review.value, KNOWN_MANUAL),
      ...contested('system decisions', system.contested),
      ...contested('manual decisions', review.contested),
      ...contested('reference numbers', reference.contested),
      ...contradicting.map(
        ({ finalDecision }) =>
          `a final decision ${quoted(finalDecision)} does not follow from the decisions beside it`,
      ),
      ...doubtful.map(
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
    const precedence = value === null ? undefined : precedenceOf(event)
    if (value === null || precedence === undefined) continue
    const { lastAt, amlVersion } = event
    claims.push({ value, precedence, lastAt, replaces: amlVersion !== null, isReplaced: isReplaced(event) })
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
  const last = Math.max(...[...kinds].map((kind) => precedenceOfKind(kind) ?? 0))
  const isPastCompletion = kinds.has('finished_ongoing_check') || kinds.has('kyc_renewal_deadline_exceeded')
  if (last >= PRECEDENCE.completion || isPastCompletion) return 'finished'
  if (last === PRECEDENCE.allSteps) return 'submitted'
  return last === PRECEDENCE.step ? 'in_progress' : 'unknown'
}

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
