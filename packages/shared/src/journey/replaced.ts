import type { JourneyEvent } from './event.ts'
import { decides } from './event-rules.ts'
import type { UpdateRequests } from './update-requests.ts'

/**
 * Each AML update names the decision that it replaced. Tells whether an event's system decision is one of these: the
 * event only quotes it, or is the only one that can have brought it about.
 */
export function createReplaced(
  events: readonly JourneyEvent[],
  updateRequests: Pick<UpdateRequests, 'isSecondCompletion'>,
): (event: JourneyEvent) => boolean {
  const updates = events.filter(({ previousSystemDecision }) => previousSystemDecision !== null)
  if (updates.length === 0) return () => false
  const replaced = new Set(updates.map(({ previousSystemDecision }) => previousSystemDecision))
  const sources = new Map<string | null, number>()
  for (const event of events) {
    const { systemDecision, count } = event
    if (decides(event)) sources.set(systemDecision, (sources.get(systemDecision) ?? 0) + count)
  }
  // A completion only repeats a decision, unless it answers a request.
  const isQuote = (event: JourneyEvent) =>
    !decides(event) || (event.kind === 'finished_journey' && !updateRequests.isSecondCompletion(event))
  return (event) =>
    replaced.has(event.systemDecision) && (isQuote(event) || (sources.get(event.systemDecision) ?? 0) <= 1)
}
