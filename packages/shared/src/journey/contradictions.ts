import type { JourneyEvent } from './event.ts'
import { contradictsItself, surelyAfter, tooClose } from './event-rules.ts'
import { createNewest, newestOf } from './newest.ts'
import { PRECEDENCE, precedenceOfKind } from './precedence.ts'
import type { UpdateRequests } from './update-requests.ts'

/**
 * Completions of another system decision than the journey's, too close in time to a later kind of event to know whether
 * they are old or new. The journey's first completion is old; so is one that a request quotes, since the request
 * followed.
 */
export function doubtfulCompletions(
  events: readonly JourneyEvent[],
  value: string | null,
  context: { updateRequests: UpdateRequests; isReplaced: (event: JourneyEvent) => boolean },
): JourneyEvent[] {
  const { updateRequests, isReplaced } = context
  const later = createNewest<JourneyEvent>(({ systemDecision }) => systemDecision)
  for (const event of events) {
    const isLaterKind = (precedenceOfKind(event.kind) ?? 0) > PRECEDENCE.completion
    if (isLaterKind && event.systemDecision !== null) later.add(event)
  }
  const newest = later.items[0]
  if (!newest) return []
  // If nothing came surely later, then the newest event of another decision is close, or none is.
  const isClose = (event: JourneyEvent) => {
    const other = later.otherThan(event.systemDecision)
    return !surelyAfter(newest, event) && other !== undefined && tooClose(other, event)
  }
  const mayBeNew = (event: JourneyEvent) =>
    updateRequests.isSecondCompletion(event) ||
    (!updateRequests.isQuoted(event) &&
      (updateRequests.mayFollowAnother(event) || updateRequests.isCloseToRequest(event)))
  return events
    .filter(({ kind, systemDecision }) => kind === 'finished_journey' && systemDecision !== null)
    .filter((event) => event.systemDecision !== value)
    .filter((event) => isClose(event) && !isReplaced(event) && mayBeNew(event))
}

/** Events whose final decision no rule explains, until a later event without such a contradiction. */
export function contradictions(events: readonly JourneyEvent[]): JourneyEvent[] {
  const deciding = events.filter(
    ({ kind, finalDecision }) => precedenceOfKind(kind) !== undefined && finalDecision !== null,
  )
  const found = deciding.filter(contradictsItself)
  if (found.length === 0) return []
  const plain = newestOf(deciding.filter((event) => !contradictsItself(event)))
  return found.filter((event) => !(plain && surelyAfter(plain, event)))
}
