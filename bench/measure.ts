import { measureAnswers, type Paired } from './measures/answers.ts'
import { type Flat, measureFlat } from './measures/flat.ts'
import { type Growth, measureGrowth } from './measures/growth.ts'
import { type Landing, medianLanding } from './measures/landing.ts'
import { type Limits, measureLimits } from './measures/limits.ts'
import { type Backlog, measureBacklog, measureRedisBytes, type RedisBytes } from './measures/memory.ts'
import type { Plan } from './plan.ts'
import { createWorld } from './world.ts'

/** Everything that one run has measured. */
export type Results = {
  readonly answers: readonly Paired[]
  readonly landing: readonly Landing[]
  readonly flat: readonly Flat[]
  readonly redisBytes: readonly RedisBytes[]
  readonly limits: Limits | undefined
  readonly backlog: readonly Backlog[]
  readonly growth: readonly Growth[]
  readonly postgresVersion: string
}

const REDIS_BYTES_EVENTS = 10_000

/**
 * Measures one part after the other, on one machine.
 *
 * @param measured gets the results so far after each part, so that an interrupted run leaves them
 */
export async function measure(
  plan: Plan,
  report: (line: string) => void,
  measured: (results: Results) => Promise<void>,
): Promise<Results> {
  await using world = await createWorld()
  const { rounds, backlog, seconds, flatSeconds } = plan
  const { rows } = await world.db.pool.query('show server_version')
  let results: Results = {
    answers: [],
    landing: [],
    flat: [],
    redisBytes: [],
    limits: undefined,
    backlog: [],
    growth: [],
    postgresVersion: rows[0].server_version,
  }
  async function add(more: Partial<Results>): Promise<void> {
    results = { ...results, ...more }
    await measured(results)
  }
  await add({ answers: await measureAnswers(world, plan.answers, plan, report) })
  await add({ landing: await medianLanding(world, plan.landing, { count: backlog, rounds }, report) })
  for (const id of plan.flat) {
    await add({ flat: [...results.flat, await measureFlat(world, id, { seconds: flatSeconds }, report)] })
  }
  report('bytes in Redis, limits of the parts')
  await add({
    redisBytes: [
      await measureRedisBytes(world, 'C', REDIS_BYTES_EVENTS),
      await measureRedisBytes(world, 'S', REDIS_BYTES_EVENTS),
    ],
    limits: await measureLimits(world, seconds),
  })
  if (plan.pairs.length > 0) {
    const pairs = await medianLanding(world, plan.pairs, { count: backlog, rounds, workers: 2 }, report)
    await add({ landing: [...results.landing, ...pairs] })
  }
  for (const id of plan.waiting > 0 ? ['S', 'P'] : []) {
    report(`${plan.waiting} waiting: ${id}`)
    const measuredBacklog = await measureBacklog(world, id, { waiting: plan.waiting, rounds, seconds })
    await add({ backlog: [...results.backlog, measuredBacklog] })
  }
  if (plan.grown.length > 0) {
    const options = { sizes: plan.grown, backlog, rounds: 2 }
    await add({ growth: await measureGrowth(world, ['S', 'P'], options, report) })
  }
  return results
}
