export { type JourneyEvent, toJourneyEvent } from './event.ts'
export { foldJourney, type Journey } from './fold.ts'
export { journeyTimeline, type TimelineEntry } from './timeline.ts'
