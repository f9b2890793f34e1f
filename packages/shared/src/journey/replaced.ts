import { decides, type JourneyEvent } from './event.ts'
import type { UpdateRequests } from './update-requests.ts'

/**
 * Tells whose system decision is older than the last AML update, each of which names the decision that it replaced: an
 * event that only quotes such a decision, or that alone can have brought it about.
 */
export function createReplaced(
  events: readonly JourneyEvent[],
  requests: Pick<UpdateRequests, 'isSecondCompletion'>,
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
    !decides(event) || (event.kind === 'finished_journey' && !requests.isSecondCompletion(event))
  return (event) =>
    replaced.has(event.systemDecision) && (isQuote(event) || (sources.get(event.systemDecision) ?? 0) <= 1)
}
