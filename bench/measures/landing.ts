import { setTimeout as pause } from 'node:timers/promises'
import { type Candidate, candidate, fill, type Started, startWorker } from '../candidates.ts'
import { newTag } from '../load.ts'
import { cpuSeconds, median } from '../machine.ts'
import type { World } from '../world.ts'

/** Workers that land a backlog while nothing else runs. */
export type Landing = {
  readonly id: string
  readonly workers: number
  /** During the last two thirds of the backlog, when every worker has warmed up. */
  readonly perSecond: number
  /** CPU of the worker processes per event, µs, with their start and without the stores. */
  readonly cpuMicros: number
}

const SKIPPED = 1 / 3
const LIMIT_MS = 300_000

/**
 * Makes a backlog of `count` events and measures how workers land it.
 *
 * @param options.keep does not empty the stores before
 * @param options.beside runs while they land
 */
export async function measureLanding(
  world: World,
  id: string,
  {
    count,
    workers = 1,
    keep = false,
    beside = async () => {},
  }: { count: number; workers?: number; keep?: boolean; beside?: () => Promise<void> },
): Promise<Landing> {
  const tested = candidate(id)
  if (!keep) await world.clear()
  const tag = newTag()
  await fill(tested, world, count, tag)
  await world.settle()
  await using stack = new AsyncDisposableStack()
  const started: Started[] = []
  const progress = watch(tested, world, count)
  for (let n = 0; n < workers; n++) started.push(stack.use(await startWorker(tested, world)))
  const [watched] = await Promise.all([progress, beside()])
  const cpu = started.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
  const perSecond = id === 'N' ? watched : await landedPerSecond(tested, world, tag, count)
  return { id, workers, perSecond, cpuMicros: (cpu * 1e6) / count }
}

export async function medianLanding(
  world: World,
  ids: readonly string[],
  options: { count: number; workers?: number; rounds: number },
  report: (line: string) => void,
): Promise<Landing[]> {
  const all: Landing[] = []
  for (let round = 1; round <= options.rounds; round++) {
    for (const id of ids) {
      report(`landing: ${id}, ${options.workers ?? 1} worker(s), round ${round}`)
      all.push(await measureLanding(world, id, options))
    }
  }
  return ids.map((id) => {
    const own = all.filter((each) => each.id === id)
    return {
      id,
      workers: options.workers ?? 1,
      perSecond: median(own.map(({ perSecond }) => perSecond)),
      cpuMicros: median(own.map(({ cpuMicros }) => cpuMicros)),
    }
  })
}

/** Waits until no event waits. @returns the rate of the last two thirds, from the numbers that waited */
async function watch({ id, waiting }: Candidate, world: World, count: number): Promise<number> {
  if (!waiting) throw new Error(`${id} has no backlog`)
  let skippedAt: { time: number; left: number } | undefined
  for (const limit = Date.now() + LIMIT_MS; Date.now() < limit; await pause(100)) {
    const left = await waiting(world)
    if (!skippedAt && left <= count * (1 - SKIPPED)) skippedAt = { time: performance.now(), left }
    if (left === 0 && skippedAt) return (skippedAt.left * 1000) / (performance.now() - skippedAt.time)
  }
  throw new Error(`${id} has not landed its backlog in ${LIMIT_MS / 1000} s`)
}

/** The rate of the last two thirds, from the times in the rows. */
export async function landedPerSecond(
  { id, table }: Candidate,
  { db }: World,
  tag: string,
  count: number,
): Promise<number> {
  const { rows } = await db.pool.query(
    `select count(*)::int as all, count(*) filter (where n > $2)::int as late,
      extract(epoch from max(processed_at) - max(processed_at) filter (where n <= $2))::float8 as seconds
    from (select processed_at, row_number() over (order by processed_at) as n from ${table}
      where journey_id >= $1 and journey_id < $1 || 'x') as landed`,
    [tag, Math.round(count * SKIPPED)],
  )
  if (rows[0].all !== count) throw new Error(`${id} has landed ${rows[0].all} of ${count}`)
  return rows[0].late / rows[0].seconds
}
