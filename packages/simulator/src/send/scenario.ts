import { hash } from 'node:crypto'
import type { Environment } from '@sluice/shared/envelope'
import type { Mix, Outcome } from './mix.ts'
import { type Payload, testRequest } from './payload.ts'
import { createRandom, type Random } from './random.ts'
import { tellStory } from './story.ts'

/**
 * What befalls an event on its way: `twin` is sent twice at once, `again` once more after its 200; the 200 of `late`
 * comes after the sender's time limit; `cut` breaks off inside the body, `hang_up` after it; `slow` dribbles.
 */
export type Disturbance = 'twin' | 'again' | 'late' | 'cut' | 'hang_up' | 'slow'

export type PlannedEvent = {
  readonly environment: Environment
  readonly eventId: string | null
  readonly bytes: Buffer
  /** SHA-256 of the bytes, hex. */
  readonly sha256: string
  /** Its place in the journey, from 0, whatever the order of sending; events that one happening sets off share it. */
  readonly moment: number
  readonly contentType?: string
  readonly disturbance?: Disturbance
}

/** Events that one happening sets off; they leave the sender one right after the other. */
export type Moment = readonly PlannedEvent[]

const SANDBOX_SHARE = 0.2

/**
 * Everything that IDWise says about one journey, moment by moment. Seed and index alone decide it, so neither the rate
 * nor the receiver changes the traffic.
 */
export function createJourney(
  seed: string,
  index: number,
  mix: Mix,
  environments: readonly [Environment, ...Environment[]],
): readonly Moment[] {
  const random = createRandom(`${seed}/${index}`)
  const sandbox = random.chance(SANDBOX_SHARE)
  const environment = environments.find((name) => (name === 'sandbox') === sandbox) ?? environments[0]
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

  const story = tellStory(outcome, mix, random).map((payloads, moment) => ({ payloads, moment }))
  return reordered(story, mix, random).map(({ payloads, moment }) =>
    payloads.map((payload) => plan(payload, moment)),
  )
}

/** Now and then a moment is overtaken by the next one. */
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
