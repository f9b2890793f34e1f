import { parseEvent } from '@sluice/shared/idwise'
import { type JourneyEvent, toJourneyEvent } from '@sluice/shared/journey'

/** An event that was received once, with these facts and no others. */
export function journeyEvent(at: number, facts: Partial<JourneyEvent>): JourneyEvent {
  return { ...toJourneyEvent({ event: parseEvent(''), at }), ...facts }
}
