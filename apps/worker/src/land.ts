import {
  createErasedSubjects,
  type Db,
  type ErasedSubjects,
  type Job,
  type JourneyName,
  type LandingOutcome,
  type LandOptions,
  landJobs,
  nameOf,
  type RejectedKind,
  type TransactionLimits,
} from '@sluice/shared/db'
import type { Log, Metrics, Traces } from '@sluice/shared/runtime'
import { type Announcing, createAnnouncing } from './announce.ts'
import { bisect } from './bisect.ts'
import { type Comparison, createComparison } from './comparison.ts'
import type { PostgresCircuit } from './postgres-circuit.ts'
import { createSlowJourneys, groupOf, type SlowJourneys } from './slow-journeys.ts'

/** Shared by `consume` and `drain`, so that each profits from the failures that the other has seen. */
export type LandingDeps = {
  readonly db: Db
  readonly circuit: PostgresCircuit
  readonly metrics: Metrics
  readonly comparison: Comparison
  readonly slowJourneys: SlowJourneys
  readonly announcing: Announcing
  readonly erased: ErasedSubjects
  readonly traces?: Traces | undefined
}

export function createLandingDeps({
  log,
  ...deps
}: {
  db: Db
  circuit: PostgresCircuit
  metrics: Metrics
  traces?: Traces | undefined
  log: Log
}): LandingDeps {
  return {
    ...deps,
    comparison: createComparison({ db: deps.db, log }),
    slowJourneys: createSlowJourneys(),
    announcing: createAnnouncing(log),
    erased: createErasedSubjects(log),
  }
}

/** Of which kinds of events Postgres refuses every one, and why. */
export function rejectedKinds({ comparison, circuit }: LandingDeps): RejectedKind[] {
  const kinds = comparison.rejected()
  if (kinds.length > 0 || circuit.refusal === undefined) return kinds
  return [{ event: null, error: circuit.refusal }]
}

/** How long a failed batch is halved in a slot: what others lock must not occupy the worker. */
const SLOT_BUDGET_MS = 1_000
/** A journey with more events to read than this lands alone from then on. */
const MANY_EVENTS = 500
/** What one such landing, or a failed one, is assumed to take. */
const SLOW_MS = 100

/** For `onRead` of `landJobs`: finds the journeys that are long to read. */
export function noteLongJourneys({ slowJourneys }: LandingDeps): (name: JourneyName, events: number) => void {
  return (name, events) => {
    if (events > MANY_EVENTS) slowJourneys.add(nameOf(name), SLOW_MS)
  }
}

/** For an event that failed because of a lock or of time. */
export function landAloneFromNowOn({ slowJourneys }: LandingDeps, job: Job): void {
  slowJourneys.add(groupOf(job), SLOW_MS)
}

/** Lands jobs in one transaction. */
export function land(
  deps: LandingDeps,
  jobs: readonly Job[],
  limits: TransactionLimits,
  options: LandOptions = {},
): Promise<LandingOutcome[]> {
  const onRead = noteLongJourneys(deps)
  return deps.announcing((announced) =>
    deps.db.landingTransaction(async (connection, now, erasures) => {
      const erased = await deps.erased.asOf(connection, erasures)
      return landJobs(connection, jobs, { ...options, announced, onRead, now, erased })
    }, limits),
  )
}

/**
 * Lands a slow journey, or another group that lands alone, in its slot.
 *
 * @param run lands some of the items, all or none
 * @returns the result of each item, in order; or how long all of them should wait for the slot, ms
 */
export async function landInSlot<Item, Result>(
  { slowJourneys }: LandingDeps,
  group: string,
  items: readonly Item[],
  run: (items: readonly Item[], limits: TransactionLimits) => Promise<readonly Result[]>,
): Promise<PromiseSettledResult<Result>[] | number> {
  const waitMs = slowJourneys.startSlot(group, items.length)
  if (waitMs !== undefined) return waitMs
  const startedAt = performance.now()
  let hasFailed = true
  try {
    // If the journey is locked, halves of the batch fail as well.
    const results = await bisect(items, run, { budgetMs: SLOT_BUDGET_MS })
    hasFailed = results.some(({ status }) => status === 'rejected')
    return results
  } finally {
    slowJourneys.endSlot(group, { tookMs: performance.now() - startedAt, hasFailed })
  }
}
