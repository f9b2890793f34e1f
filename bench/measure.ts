import { type Answers, measureAnswers, type Paired } from './measures/answers.ts'
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
  readonly limits: Limits
  readonly backlog: readonly Backlog[]
  readonly growth: readonly Growth[]
  readonly postgresVersion: string
}

export type { Answers, Backlog, Flat, Growth, Landing, Limits, Paired, RedisBytes }

const REDIS_BYTES_EVENTS = 10_000

/** One after the other, since the machine is the same for all. */
export async function measure(plan: Plan, report: (line: string) => void): Promise<Results> {
  await using world = await createWorld()
  const { rounds, backlog, seconds } = plan
  const answers = await measureAnswers(world, plan.answers, plan, report)
  const landing = await medianLanding(world, plan.landing, { count: backlog, rounds }, report)
  if (plan.pairs.length > 0) {
    landing.push(...(await medianLanding(world, plan.pairs, { count: backlog, rounds, workers: 2 }, report)))
  }
  const flat: Flat[] = []
  for (const id of plan.flat) flat.push(await measureFlat(world, id, { seconds: 2 * seconds }, report))
  report('bytes in Redis')
  const redisBytes = [
    await measureRedisBytes(world, 'C', REDIS_BYTES_EVENTS),
    await measureRedisBytes(world, 'S', REDIS_BYTES_EVENTS),
  ]
  report('limits of the parts')
  const limits = await measureLimits(world, seconds)
  const backlogs: Backlog[] = []
  for (const id of plan.waiting > 0 ? ['S', 'P'] : []) {
    report(`${plan.waiting} waiting: ${id}`)
    backlogs.push(await measureBacklog(world, id, { waiting: plan.waiting, rounds, seconds }))
  }
  const growth =
    plan.grown.length > 0
      ? await measureGrowth(world, ['S', 'P'], { sizes: plan.grown, backlog, rounds: 2 }, report)
      : []
  const { rows } = await world.db.pool.query('show server_version')
  return {
    answers,
    landing,
    flat,
    redisBytes,
    limits,
    backlog: backlogs,
    growth,
    postgresVersion: rows[0].server_version,
  }
}
