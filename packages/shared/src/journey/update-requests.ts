import { REDELIVERY_SPAN_MS } from '../idwise/schedule.ts'
import { createAnswers, isVerdict, type Progress } from './answers.ts'
import type { JourneyEvent } from './event.ts'
import { decides, isStepUpdate, surelyAfter, tooClose } from './event-rules.ts'
import { newestOf } from './newest.ts'
import { sortRequests } from './request-kinds.ts'

/** What IDWise asked of the user after completion, and whether it was done. */
export type UpdateRequests = {
  /** A Finished Journey that answers a request for steps. */
  isSecondCompletion(event: JourneyEvent): boolean
  /** A request quotes the event's system decision: if the event is a completion, the request came after it. */
  isQuoted(event: JourneyEvent): boolean
  /** Another Finished Journey may have been sent before this one. */
  mayFollowAnother(event: JourneyEvent): boolean
  /** Some request came too close to this event to know which of them was first. */
  isCloseToRequest(event: JourneyEvent): boolean
  /** A verdict on a decision that only the answer to a request can have brought: it fell after both. */
  fellAfterAnswer(event: JourneyEvent): boolean
  readonly resubmission: Progress<'open' | 'done'>
  readonly renewal: Progress<'open' | 'overdue' | 'done'>
}

/**
 * No rule compares each event with each request, so that a journey with very many of both stays cheap to fold: an event
 * that was sent after some request was sent after the earliest one, and the decisions that requests quote are a set.
 */
export function findUpdateRequests(events: readonly JourneyEvent[]): UpdateRequests {
  const { notices, renewals, deadlines, resubmissions, completions, all } = sortRequests(events)
  const quoted = decisionsOf(notices)
  const completed = decisionsOf(completions)
  const [firstCompletion, secondCompletion] = twoEarliest(completions)
  const firstRequestAt = Math.min(earliest(notices, 'firstAt'), earliest(deadlines, 'firstAt'))
  const firstOfAllAt = earliest(all, 'firstAt')

  // A request quotes the decision of its time: of several completions, one of another decision came after it.
  const isQuoted = ({ systemDecision }: JourneyEvent) => quoted.has(systemDecision)
  const quotesCompletion = ({ systemDecision }: JourneyEvent) =>
    systemDecision !== null && completed.has(systemDecision)
  const statesOther = (event: JourneyEvent, request: JourneyEvent) =>
    event.systemDecision !== request.systemDecision && quotesCompletion(request)
  const firstQuotingAt = earliest(notices.filter(quotesCompletion), 'lastAt')

  function isSecondCompletion(event: JourneyEvent): boolean {
    if (event.kind !== 'finished_journey') return false
    if (event.lastAt - firstRequestAt > REDELIVERY_SPAN_MS) return true
    // No request quotes its decision, so it came after one that quotes another completion, unless all came surely
    // later.
    return !isQuoted(event) && !(firstQuotingAt - event.lastAt > REDELIVERY_SPAN_MS)
  }

  function mayFollowAnother(event: JourneyEvent): boolean {
    const other = event === firstCompletion ? secondCompletion : firstCompletion
    return event.count > 1 || (other !== undefined && !sentBefore(event, other))
  }

  let inOrder: JourneyEvent[] | undefined
  function isCloseToRequest(event: JourneyEvent): boolean {
    inOrder ??= notices.toSorted((a, b) => a.lastAt - b.lastAt)
    // The requests that came surely before the event are first in this order: the next one is close, or none is.
    const next = inOrder[countWhile(inOrder, (request) => surelyAfter(event, request))]
    return next !== undefined && tooClose(event, next)
  }

  /** For each decision that an event brought or replaced: whether only answers to requests did so. */
  let sources: Map<string, boolean> | undefined
  function readSources(): Map<string, boolean> {
    const found = new Map<string, boolean>()
    for (const event of events) {
      const isAnswer = isStepUpdate(event) || isSecondCompletion(event)
      const note = (decision: string) => found.set(decision, isAnswer && found.get(decision) !== false)
      if (event.systemDecision !== null && decides(event)) note(event.systemDecision)
      if (event.previousSystemDecision !== null) note(event.previousSystemDecision)
    }
    return found
  }

  let known: Set<string | null> | undefined
  function fellAfterAnswer(event: JourneyEvent): boolean {
    const { systemDecision } = event
    if (!isVerdict(event) || systemDecision === null) return false
    sources ??= readSources()
    known ??= decisionsOf(all)
    return sources.get(systemDecision) === true && !known.has(null) && !known.has(systemDecision)
  }

  const { progress, answers, settles } = createAnswers(events, {
    isQuoted,
    statesOther,
    mayFollowAnother,
    followsRequest: ({ lastAt }) => lastAt - firstOfAllAt > REDELIVERY_SPAN_MS,
    fellAfterAnswer,
  })

  function resubmission(): UpdateRequests['resubmission'] {
    const answered = progress(resubmissions, answers, settles)
    return { state: answered && (answered === 'yes' ? 'done' : 'open'), unsure: answered === 'perhaps' }
  }

  function renewal(): UpdateRequests['renewal'] {
    const answered = progress([...renewals, ...deadlines], answers)
    const deadline = newestOf(deadlines)
    const renewed = newestOf(renewals)
    const isOverdue = deadline !== undefined && !(renewed && surelyAfter(renewed, deadline))
    const open = isOverdue ? 'overdue' : 'open'
    return { state: answered && (answered === 'yes' ? 'done' : open), unsure: answered === 'perhaps' }
  }

  return {
    isSecondCompletion,
    isQuoted,
    mayFollowAnother,
    isCloseToRequest,
    fellAfterAnswer,
    resubmission: resubmission(),
    renewal: renewal(),
  }
}

function sentBefore(event: JourneyEvent, other: JourneyEvent): boolean {
  return other.firstAt - event.lastAt > REDELIVERY_SPAN_MS
}

function decisionsOf(events: readonly JourneyEvent[]): Set<string | null> {
  return new Set(events.map(({ systemDecision }) => systemDecision))
}

function earliest(events: readonly JourneyEvent[], time: 'firstAt' | 'lastAt'): number {
  let found = Infinity
  for (const event of events) found = Math.min(found, event[time])
  return found
}

function twoEarliest(events: readonly JourneyEvent[]): (JourneyEvent | undefined)[] {
  let first: JourneyEvent | undefined
  let second: JourneyEvent | undefined
  for (const event of events) {
    if (!first || event.firstAt < first.firstAt) {
      second = first
      first = event
    } else if (!second || event.firstAt < second.firstAt) second = event
  }
  return [first, second]
}

/** How many of these items meet the condition, which only the first ones do. A binary search. */
function countWhile<Item>(items: readonly Item[], meets: (item: Item) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (meets(items[middle] as Item)) low = middle + 1
    else high = middle
  }
  return low
}
