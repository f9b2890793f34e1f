import type { Way } from '@sluice/testkit/world'
import fc from 'fast-check'
import { BODIES } from './bodies.ts'

/** What may happen to a running Sluice. An act that does not apply at its moment does nothing. */
export type Act =
  /** Deliveries at the same time. The numbers are those of bodies. */
  | { kind: 'send'; bodies: number[] }
  | { kind: 'start worker' }
  | { kind: 'stop worker' }
  /** Stops the worker while it works, and starts another. */
  | { kind: 'restart worker' }
  /** A worker in another process claims the events that wait and is killed at this step. Another one goes on. */
  | { kind: 'kill worker'; at: (typeof STEPS)[number] }
  | { kind: 'restart ingest' }
  /** These act on the n-th dead letter. After `repair` the database accepts its row. */
  | { kind: 'send again'; letter: number }
  | { kind: 'repair'; letter: number }
  | { kind: 'replay'; letter: number }
  | { kind: 'discard'; letter: number }
  | { kind: 'replay and discard at once'; letter: number }
  /** The queue gives up the n-th waiting job, and the sweep finds it. */
  | { kind: 'give up'; job: number }

const STEPS = [
  'worker-after-claim',
  'worker-before-transaction',
  'worker-in-transaction',
  'worker-after-commit',
] as const

const poisons = [...BODIES.keys()].filter((index) => BODIES[index]?.poison)
const body = fc.oneof(fc.nat(BODIES.length - 1), fc.constantFrom(...poisons))
const nth = fc.nat(7)

const common: fc.WeightedArbitrary<Act>[] = [
  { weight: 16, arbitrary: act('send', { bodies: fc.array(body, { minLength: 1, maxLength: 1 }) }) },
  { weight: 10, arbitrary: act('send', { bodies: fc.array(body, { minLength: 2, maxLength: 12 }) }) },
  { weight: 6, arbitrary: act('start worker', {}) },
  { weight: 4, arbitrary: act('stop worker', {}) },
  { weight: 2, arbitrary: act('restart worker', {}) },
  { weight: 2, arbitrary: act('restart ingest', {}) },
  { weight: 6, arbitrary: act('send again', { letter: nth }) },
  { weight: 6, arbitrary: act('repair', { letter: nth }) },
  { weight: 10, arbitrary: act('replay', { letter: nth }) },
  { weight: 4, arbitrary: act('discard', { letter: nth }) },
  { weight: 2, arbitrary: act('replay and discard at once', { letter: nth }) },
]

// If its worker is killed, a job of the queue is claimed again after 15 to 25 s only, so workers are killed by the
// inbox.
const own: Record<Way, fc.WeightedArbitrary<Act>[]> = {
  inbox: [{ weight: 1, arbitrary: act('kill worker', { at: fc.constantFrom(...STEPS) }) }],
  redis: [{ weight: 4, arbitrary: act('give up', { job: nth }) }],
}

export function sequences(way: Way): fc.Arbitrary<Act[]> {
  return fc.array(fc.oneof(...common, ...own[way]), { minLength: 1, maxLength: 20, size: 'max' })
}

function act<Kind extends Act['kind']>(
  kind: Kind,
  fields: { [Name in Exclude<keyof Of<Kind>, 'kind'>]: fc.Arbitrary<Of<Kind>[Name]> },
): fc.Arbitrary<Act> {
  return fc.record({ kind: fc.constant(kind), ...fields }) as unknown as fc.Arbitrary<Act>
}

type Of<Kind> = Kind extends Act['kind'] ? Extract<Act, { kind: Kind }> : never
