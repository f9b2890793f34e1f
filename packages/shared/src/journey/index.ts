export { foldJourney, type Journey, type JourneyEvent } from './fold.ts'
export { journeyTimeline, type TimelineEntry } from './timeline.ts'
