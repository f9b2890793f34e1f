/** The events of a journey, about 200 bytes each. There are five, so that the fold has something to do. */
const STAGES = [
  ['Finished Step', 'Incomplete'],
  ['Finished Step', 'Incomplete'],
  ['Finished Step', 'Incomplete'],
  ['Finished User Steps', 'Incomplete'],
  ['Finished Journey', 'Complete'],
] as const
const JOURNEYS_SIDE_BY_SIDE = 2_000

export type BenchEvent = {
  readonly event: string
  readonly body: {
    readonly eventId: string
    readonly journeyId: string
    readonly referenceNo: string
    readonly systemDecision: string
  }
}

/**
 * The n-th event of a run. 2,000 journeys go on at the same time, so there are 2,000 events between two of one journey.
 * At 2,000 a second that is one second, and people are slower.
 *
 * @param tag 8 characters that no other run has
 */
export function eventOf(tag: string, n: number): BenchEvent {
  const block = Math.floor(n / (STAGES.length * JOURNEYS_SIDE_BY_SIDE))
  const within = n % (STAGES.length * JOURNEYS_SIDE_BY_SIDE)
  const journey = block * JOURNEYS_SIDE_BY_SIDE + (within % JOURNEYS_SIDE_BY_SIDE)
  const [event, systemDecision] = STAGES[Math.floor(within / JOURNEYS_SIDE_BY_SIDE)] ?? STAGES[0]
  const number = String(n).padStart(12, '0')
  return {
    event,
    body: {
      eventId: `${tag}-bf41-4c09-9d27-${number}`,
      journeyId: `${tag}${String(journey).padStart(16, '0')}`,
      referenceNo: `CUST-${String(journey).padStart(10, '0')}`,
      systemDecision,
    },
  }
}
