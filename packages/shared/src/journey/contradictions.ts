import { contradictsItself, type JourneyEvent, surelyAfter, tooClose } from './event.ts'
import { createNewest, newestOf } from './newest.ts'
import { PRECEDENCE } from './precedence.ts'
import type { UpdateRequests } from './update-requests.ts'

/**
 * Completions that say otherwise and are too close to what supersedes them: overtaken by it, or news? The journey's
 * first one is neither, and one that a request quotes came before the request.
 */
export function overtaken(
  events: readonly JourneyEvent[],
  value: string | null,
  { requests, isReplaced }: { requests: UpdateRequests; isReplaced: (event: JourneyEvent) => boolean },
): JourneyEvent[] {
  const later = createNewest<JourneyEvent>(({ systemDecision }) => systemDecision)
  for (const event of events) {
    if ((PRECEDENCE[event.kind] ?? 0) > 3 && event.systemDecision !== null) later.add(event)
  }
  const newest = later.items[0]
  if (!newest) return []
  // When nothing came surely later, the newest one that says otherwise is close, or none is.
  const isClose = (event: JourneyEvent) => {
    const other = later.otherThan(event.systemDecision)
    return !surelyAfter(newest, event) && other !== undefined && tooClose(other, event)
  }
  const mayBeNews = (event: JourneyEvent) =>
    requests.isSecondCompletion(event) ||
    (!requests.isQuoted(event) && (requests.mayFollowAnother(event) || requests.isCloseToRequest(event)))
  return events
    .filter(({ kind, systemDecision }) => kind === 'finished_journey' && systemDecision !== null)
    .filter(
      (event) => event.systemDecision !== value && isClose(event) && !isReplaced(event) && mayBeNews(event),
    )
}

/** Those with a final decision that no rule explains, until a later event says plainly what is so. */
export function contradicting(events: readonly JourneyEvent[]): JourneyEvent[] {
  const telling = events.filter(
    ({ kind, finalDecision }) => PRECEDENCE[kind] !== undefined && finalDecision !== null,
  )
  const contradicting = telling.filter(contradictsItself)
  if (contradicting.length === 0) return []
  const plain = newestOf(telling.filter((event) => !contradictsItself(event)))
  return contradicting.filter((event) => !(plain && surelyAfter(plain, event)))
}
