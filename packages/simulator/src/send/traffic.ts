import type { Mix } from './mix.ts'
import { createRandom } from './random.ts'
import { createJourney, type Moment, type PlannedEvent } from './scenario.ts'

/** Journeys under way at the same time; their moments interleave. */
const UNDER_WAY = 100

/**
 * The events of many journeys in the order in which they are sent. Chance decides which journey is next; the order
 * within a journey stays.
 */
export function* createTraffic(options: {
  seed: string
  mix: Mix
  environments: readonly [string, ...string[]]
  /** How many journeys; undefined for no end. */
  journeys?: number | undefined
}): Generator<PlannedEvent> {
  const { seed, mix, environments, journeys = Number.POSITIVE_INFINITY } = options
  const random = createRandom(seed)
  const underWay: Iterator<Moment>[] = []
  let started = 0
  for (;;) {
    while (underWay.length < UNDER_WAY && started < journeys) {
      underWay.push(createJourney(seed, started++, mix, environments).values())
    }
    if (underWay.length === 0) return
    const index = random.below(underWay.length)
    const moment = underWay[index]?.next()
    if (moment?.done === false) yield* moment.value
    else underWay.splice(index, 1)
  }
}
