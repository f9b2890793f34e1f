import { hash } from 'node:crypto'
import { playJourney } from './journey.ts'
import type { Mix, Outcome } from './mix.ts'
import { type Payload, testRequest } from './payload.ts'
import { createRandom, type Random } from './random.ts'

/**
 * What goes wrong with an event on its way. `twin` is sent twice at once. `again` is sent once more after its 200. The
 * 200 of `late` comes after the sender's time limit. `cut` breaks off inside the body, `hang_up` after it. `slow`
 * sends its body in four parts.
 */
export type Disturbance = 'twin' | 'again' | 'late' | 'cut' | 'hang_up' | 'slow'

export type PlannedEvent = {
  readonly environment: string
  readonly eventId: string | null
  readonly bytes: Buffer
  /** SHA-256 of the bytes, hex. */
  readonly sha256: string
  /** Its place in the journey, from 0, in the order in which things happened. Events of one moment share it. */
  readonly moment: number
  readonly contentType?: string
  /** A test request of the portal. */
  readonly test?: true
  readonly disturbance?: Disturbance
}

/** The events of one thing that happened. They are sent right after each other. */
export type Moment = readonly PlannedEvent[]

const SANDBOX_SHARE = 0.2

/**
 * All events of one journey, moment by moment. They depend on seed and index alone, so neither the rate nor the
 * receiver changes the traffic.
 */
export function createJourney(
  seed: string,
  index: number,
  mix: Mix,
  environments: readonly [string, ...string[]],
): readonly Moment[] {
  const random = createRandom(`${seed}/${index}`)
  const sandbox = random.chance(SANDBOX_SHARE)
  const fitting = environments.filter((name) => (name === 'sandbox') === sandbox)
  const environment = fitting[index % fitting.length] ?? environments[0]
  const plan = (payload: Payload, moment: number): PlannedEvent => {
    const disturbance = disturb(mix, random)
    return {
      ...payload,
      moment,
      environment,
      sha256: hash('sha256', payload.bytes),
      ...(disturbance && { disturbance }),
    }
  }
  const outcome = random.weighted(outcomesOf(mix))
  if (outcome === 'test') return [[plan(testRequest(random), 0)]]

  const moments = playJourney(outcome, mix, random).map((payloads, moment) => ({ payloads, moment }))
  return reordered(moments, mix, random).map(({ payloads, moment }) =>
    payloads.map((payload) => plan(payload, moment)),
  )
}

/** Sometimes the next moment overtakes a moment. */
function reordered<T>(moments: readonly T[], mix: Mix, random: Random): T[] {
  const order = [...moments]
  for (let i = 1; i < order.length; i++) {
    if (!random.chance(mix.reordered)) continue
    const [moment] = order.splice(i - 1, 1)
    order.splice(i, 0, moment as T)
    i++
  }
  return order
}

function disturb(mix: Mix, random: Random): Disturbance | undefined {
  const { duplicates, late, aborted, slow } = mix
  const undisturbed = Math.max(0, 1 - duplicates - late - aborted - slow)
  switch (random.weighted({ undisturbed, duplicates, late, aborted, slow })) {
    case 'duplicates':
      return random.pick(['twin', 'again'])
    case 'aborted':
      return random.pick(['cut', 'hang_up'])
    case 'late':
      return 'late'
    case 'slow':
      return 'slow'
    default:
      return undefined
  }
}

function outcomesOf(mix: Mix): Record<Outcome, number> {
  const { approved, reviewed, resubmitted, renewed, monitored, abandoned, test } = mix
  return {
    approved,
    reviewed,
    resubmitted,
    renewed,
    monitored,
    'spot-checked': mix['spot-checked'],
    abandoned,
    test,
  }
}
