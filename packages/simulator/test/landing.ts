import { parseEvent } from '@sluice/shared/idwise'
import { foldJourney, type JourneyEvent, toJourneyEvent } from '@sluice/shared/journey'
import type { DeadLetterRow, EventRow, JourneyRow } from '../src/index.ts'
import type { Received } from './receiver.ts'

export type Tables = { events: EventRow[]; journeys: JourneyRow[]; deadLetters: DeadLetterRow[] }

/** The tables of a receiver that works as it should, by its own parser and fold. The model must agree with both. */
export function landRows(requests: readonly Received[]): Pick<Tables, 'events' | 'journeys'> {
  const events = new Map<string, EventRow>()
  const journeys = new Map<string, JourneyEvent[]>()
  for (const { environment, bytes, sha256, at } of requests) {
    const event = parseEvent(bytes)
    const key = [environment, ...(event.eventId ? [event.normalisedEvent, event.eventId] : [sha256])].join(
      '|',
    )
    const known = events.get(key)
    if (known) {
      events.set(key, { ...known, duplicates: known.duplicates + 1 })
      continue
    }
    events.set(key, {
      environment,
      event: event.event,
      kind: event.kind,
      event_id: event.eventId,
      journey_id: event.journeyId,
      reference_no: event.referenceNo,
      system_decision: event.systemDecision,
      manual_decision: event.manualDecision,
      final_decision: event.finalDecision,
      body: event.json && JSON.parse(event.json),
      body_sha256: sha256,
      stored_sha256: sha256,
      duplicates: 0,
      received_at: new Date(at),
    })
    if (event.journeyId === null) continue
    const name = `${environment} ${event.journeyId}`
    journeys.set(name, [...(journeys.get(name) ?? []), receivedAt(bytes, at)])
  }
  return { events: [...events.values()], journeys: [...journeys].map(([name, own]) => rowOf(name, own)) }
}

/** The event as the fold gets it, received at this time. */
export function receivedAt(bytes: Buffer, at: number): JourneyEvent {
  return toJourneyEvent({ event: parseEvent(bytes), at })
}

export function rowOf(name: string, events: readonly JourneyEvent[]): JourneyRow {
  const [environment = '', journeyId = ''] = name.split(' ')
  const journey = foldJourney(events)
  return {
    environment,
    journey_id: journeyId,
    reference_no: journey.referenceNo,
    stage: journey.stage,
    system_decision: journey.systemDecision,
    manual_decision: journey.manualDecision,
    final_decision: journey.finalDecision,
    aml_version: journey.amlVersion,
    resubmission: journey.resubmission,
    renewal: journey.renewal,
    events: journey.events,
    first_event_at: new Date(journey.firstEventAt),
    last_event_at: new Date(journey.lastEventAt),
    needs_attention: journey.needsAttention,
  }
}
