import { REDELIVERY_SPAN_MS } from '../idwise/schedule.ts'
import { createAnswers, isVerdict, type Progress } from './answers.ts'
import { sortedOut } from './classify.ts'
import { decides, isStepUpdate, type JourneyEvent, surelyAfter, tooClose } from './event.ts'
import { newestOf } from './newest.ts'

/** What IDWise asked of the user after completion, and whether it came. */
export type UpdateRequests = {
  /** A Finished Journey that answers a request for steps. */
  isSecondCompletion(event: JourneyEvent): boolean
  /** The completion whose decision a request quotes: the request came after it. */
  isQuoted(event: JourneyEvent): boolean
  /** Whether a Finished Journey too close to say may not have been the journey's first. */
  mayFollowAnother(event: JourneyEvent): boolean
  /** A request whose place before or after this event arrival does not tell. */
  isCloseToRequest(event: JourneyEvent): boolean
  /** A verdict on what an answer brought, which no request knew yet: it fell after both. */
  fellAfterAnswer(event: JourneyEvent): boolean
  readonly resubmission: Progress<'open' | 'done'>
  readonly renewal: Progress<'open' | 'overdue' | 'done'>
}

/**
 * No rule goes through all requests for each event. What was sent after some of them was sent after the earliest, what
 * came surely before all of them came surely before the earliest; and which decisions they quote is a set.
 */
export function findUpdateRequests(events: readonly JourneyEvent[]): UpdateRequests {
  const { asked, renewals, deadlines, resubmissions, completions, all } = sortedOut(events)
  const quoted = decisionsOf(asked)
  const completed = decisionsOf(completions)
  const [firstCompletion, secondCompletion] = twoEarliest(completions)
  const firstAsked = Math.min(earliest(asked, 'firstAt'), earliest(deadlines, 'firstAt'))
  const firstOfAll = earliest(all, 'firstAt')

  // A request quotes the decision of its time: of several completions, one that says otherwise came after it.
  const isQuoted = ({ systemDecision }: JourneyEvent) => quoted.has(systemDecision)
  const quotesCompletion = ({ systemDecision }: JourneyEvent) =>
    systemDecision !== null && completed.has(systemDecision)
  const saysOtherwise = (event: JourneyEvent, request: JourneyEvent) =>
    event.systemDecision !== request.systemDecision && quotesCompletion(request)
  const firstQuoting = earliest(asked.filter(quotesCompletion), 'lastAt')

  function isSecondCompletion(event: JourneyEvent): boolean {
    if (event.kind !== 'finished_journey') return false
    if (event.lastAt - firstAsked > REDELIVERY_SPAN_MS) return true
    // What no request quotes says otherwise than each of them: some did not come surely later if the earliest did not.
    return !isQuoted(event) && !(firstQuoting - event.lastAt > REDELIVERY_SPAN_MS)
  }

  function mayFollowAnother(event: JourneyEvent): boolean {
    const other = event === firstCompletion ? secondCompletion : firstCompletion
    return event.count > 1 || (other !== undefined && !sentBefore(event, other))
  }

  let askedInOrder: JourneyEvent[] | undefined
  function isCloseToRequest(event: JourneyEvent): boolean {
    askedInOrder ??= asked.toSorted((a, b) => a.lastAt - b.lastAt)
    // What came surely before the event comes first in this order: the next one is close, or none is.
    const next = askedInOrder[countWhile(askedInOrder, (request) => surelyAfter(event, request))]
    return next !== undefined && tooClose(event, next)
  }

  /** By decision, whether nothing but answers to requests can have brought it, or names it as replaced. */
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
    saysOtherwise,
    mayFollowAnother,
    followsRequest: ({ lastAt }) => lastAt - firstOfAll > REDELIVERY_SPAN_MS,
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

/** How many of these, of which the first ones are `so` and the others are not. */
function countWhile<Item>(items: readonly Item[], so: (item: Item) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (so(items[middle] as Item)) low = middle + 1
    else high = middle
  }
  return low
}
