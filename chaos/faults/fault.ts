import type { Evidence } from '../evidence.ts'
import type { World, WorldOptions } from '../world.ts'

/** One way to hurt Sluice. The ids are those of the reliability notes. */
export type Fault = {
  readonly id: string
  readonly name: string
  /** How its world differs from the usual one. */
  readonly world?: WorldOptions
  /** It is there before the first process of Sluice starts. */
  readonly beforeStart?: true
  /** Why it cannot be tried on this machine; undefined where it can. */
  impossible?(): string | undefined
  /** UpdateRequests may fail: both stores are away, or the ingests themselves are hurt. One store alone is no excuse. */
  readonly mayFail?: true
  /** What was counted on its way to the rows may be counted again: a replica that lagged does not know of it. */
  readonly mayOvercount?: true
  /** The load is so many times the usual one. */
  readonly times?: number
  /** How long `inject` takes, about; the load lasts a little longer. */
  readonly seconds: number
  /** Resolves when it has lasted long enough. */
  inject(world: World): Promise<void>
  /** Runs in any case, also after an `inject` that failed half-way. */
  heal(world: World): Promise<void>
  /** What shows that it has bitten, and the least of it. A run in which it did not bite has tested nothing. */
  readonly bites: Partial<Record<keyof Evidence | Trace, number>>
}

/** What faults count themselves. */
export type Trace =
  | 'killed'
  | 'terminated'
  | 'failpoints'
  | 'stopped'
  | 'waitingAtCut'
  | 'syncs'
  | 'failovers'
  | 'nodes'
  | 'moved'
  | 'full'
  | 'bytesCut'
  | 'dropped'
  | 'sliced'
  | 'warned'
  | 'busy'
  | 'closed'
  | 'waiting'
  | 'refusedSecond'
