import {
  classifyFailure,
  type Db,
  isTooSlow,
  type Job,
  type JourneyName,
  type LandingOutcome,
  type LandOptions,
  landJobs,
  nameOf,
  type TransactionLimits,
} from '@sluice/shared/db'
import type { Log, Metrics } from '@sluice/shared/runtime'
import { type Announcer, createAnnouncer } from './announce.ts'
import { bisect } from './bisect.ts'
import { createJudge, type Judge } from './judge.ts'
import type { PostgresCircuit } from './postgres-circuit.ts'
import { type Apart, createApart, groupOf } from './slow-journeys.ts'
import type { Verdict } from './verdict.ts'

/** What both ways land with, and what they know of each other's failures. */
export type Means = {
  readonly db: Db
  readonly circuit: PostgresCircuit
  readonly metrics: Metrics
  readonly judge: Judge
  readonly apart: Apart
  readonly announcer: Announcer
}

export function createMeans(deps: { db: Db; circuit: PostgresCircuit; metrics: Metrics; log: Log }): Means {
  const { log, ...means } = deps
  const judge = createJudge({ db: deps.db, log })
  return { ...means, judge, apart: createApart(), announcer: createAnnouncer(log) }
}

/** What a turn apart is halved for at most, so that what others hold does not take the worker. */
const APART_BUDGET_MS = 1_000
/** A journey of which more events than this were read lands apart from then on. */
const MANY_EVENTS = 500
/** What one such landing, or one failed one, is thought to take. */
const SLOW_MS = 100

/** For `landJobs`: sets a journey apart which is long to read. */
export function noticing({ apart }: Means): (name: JourneyName, events: number) => void {
  return (name, events) => {
    if (events > MANY_EVENTS) apart.add(nameOf(name), SLOW_MS)
  }
}

/** An event that fails alone by a lock or by time lands apart from now on. */
export function setApart({ apart }: Means, error: unknown, delivery: Job): boolean {
  if (!isTooSlow(error)) return false
  apart.add(groupOf(delivery), SLOW_MS)
  return true
}

/** Lands deliveries in a transaction of their own. */
export function land(
  means: Means,
  deliveries: readonly Job[],
  limits: TransactionLimits,
  options: LandOptions = {},
): Promise<LandingOutcome[]> {
  const onRead = noticing(means)
  return means.announcer((announced) =>
    means.db.landingTransaction(
      (connection, now) => landJobs(connection, deliveries, { ...options, announced, onRead, now }),
      limits,
    ),
  )
}

/**
 * Gives a group its turn.
 *
 * @param run lands some of them, all or nothing
 * @returns each one's result, in order; or how long they should wait, ms
 */
export async function takeTurn<Item, Result>(
  { apart }: Means,
  group: string,
  items: readonly Item[],
  run: (items: readonly Item[], limits: TransactionLimits) => Promise<readonly Result[]>,
): Promise<PromiseSettledResult<Result>[] | number> {
  const waitMs = apart.begin(group, items.length)
  if (waitMs !== undefined) return waitMs
  const began = performance.now()
  let hasFailed = true
  try {
    // What fails at once by a lock of its journey, fails in halves as well, but for a short while.
    const results = await bisect(items, run, { budgetMs: APART_BUDGET_MS })
    hasFailed = results.some(({ status }) => status === 'rejected')
    return results
  } finally {
    apart.ended(group, { tookMs: performance.now() - began, hasFailed })
  }
}

/**
 * Before an event is buried it is tried again: what it has failed of may have ended before the made-up event landed. Then
 * another one is made up, since it may have begun only now. What Postgres refuses is tried without the `body` column.
 *
 * @param tryAlone lands the event, or throws
 * @returns undefined where it has landed; else what becomes of it, and why
 */
export async function tryAtLast(
  { judge }: Means,
  { delivery, isLastAttempt }: { delivery: Job; isLastAttempt: boolean },
  tryAlone: (options: LandOptions) => Promise<unknown>,
): Promise<{ verdict: Verdict; error: unknown } | undefined> {
  const error = await failureOf(tryAlone({}))
  if (!error) return undefined
  const verdict = await judge.judgeAnew(error.of, delivery, isLastAttempt)
  if (verdict.kind === 'bury' && verdict.reason === 'rejected_by_database') {
    const without = await failureOf(tryAlone({ withoutBody: true }))
    if (!without) return undefined
    if (isNoFaultOfIts(without.of)) return { verdict: { kind: 'wait' }, error: without.of }
  }
  return { verdict, error: error.of }
}

function isNoFaultOfIts(error: unknown): boolean {
  return ['infrastructure', 'passing'].includes(classifyFailure(error))
}

function failureOf(work: Promise<unknown>): Promise<{ of: unknown } | undefined> {
  return work.then(
    () => undefined,
    (error: unknown) => ({ of: error }),
  )
}
