import type { Evidence, Trace } from '../evidence.ts'
import type { World, WorldOptions } from '../world.ts'

/** One way to hurt Sluice. */
export type Fault = {
  readonly id: string
  readonly name: string
  /** How its world differs from the usual one. */
  readonly world?: WorldOptions
  /** It is injected before the first process of Sluice starts. */
  readonly beforeStart?: true
  /** Why it cannot be tried on this machine; undefined if it can. */
  impossible?(): string | undefined
  /** Requests may fail: both stores are away, or the ingests are hurt. One store that is away is no excuse. */
  readonly mayFail?: true
  /** Redeliveries may be counted twice: a replica that lagged does not know that they were written to their rows. */
  readonly mayOvercount?: true
  /** The load is so many times the usual one. */
  readonly times?: number
  /** About how long `inject` takes. The load lasts a little longer. */
  readonly seconds: number
  /** Resolves when the fault has lasted long enough. */
  inject(world: World): Promise<void>
  /** Always runs, also after an `inject` that failed half-way. */
  heal(world: World): Promise<void>
  /** The least of each count that shows its effect. A run in which the fault took no effect has tested nothing. */
  readonly effect: Partial<Record<keyof Evidence | Trace, number>>
}
