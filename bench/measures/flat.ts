import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { candidate, startIngest, startWorker } from '../candidates.ts'
import { failed } from '../load.ts'
import { median, residentMegabytes } from '../machine.ts'
import type { World } from '../world.ts'

/** The rates that are tried, events a second. Each is about a quarter above the last. */
const LADDER = [
  250, 400, 500, 630, 800, 1_000, 1_250, 1_600, 2_000, 2_500, 3_150, 4_000, 5_000, 6_300, 8_000, 10_000,
  12_500,
]
const MAX_P99_MS = 50
const TRIES = 3
const WARM_UP = { rate: 500, seconds: 1.5 }
/** Rounds at half the rate, in turn with the bare server: a single p99 depends on the machine more than on either. */
const HALF_ROUNDS = 5
/** The backlog is flat if at most the events of this time wait at the end. */
const FLAT_SECONDS = 0.5

/** An ingest and one worker together: the highest offered rate at which events do not pile up. */
export type Flat = {
  readonly id: string
  /** Events a second that are sent. */
  readonly rate: number
  /** At half of that rate: ms from the intended time of sending to the answer, and from receipt to the row. */
  readonly halfP99: number
  readonly bareHalfP99: number
  readonly toRowP50: number
  readonly toRowP99: number
  /** MB */
  readonly ingestMemory: number
  readonly workerMemory: number
}

export async function measureFlat(
  world: World,
  id: string,
  { seconds }: { seconds: number },
  report: (line: string) => void,
): Promise<Flat> {
  await world.clear()
  const tested = candidate(id)
  await using ingest = await startIngest(tested, world)
  await using consumer = tested.worker ? await startWorker(tested, world) : undefined
  const worker = consumer ?? ingest
  await world.send(ingest.port, WARM_UP)

  async function holds(rate: number): Promise<boolean> {
    const sent = await world.send(ingest.port, { rate, seconds })
    const left = (await tested.waiting?.(world)) ?? 0
    const flat = failed(sent) === 0 && sent.p99 < MAX_P99_MS && left <= Math.max(50, rate * FLAT_SECONDS)
    report(
      `flat: ${id} at ${rate}/s, p99 ${sent.p99.toFixed(1)} ms, ${left} waiting: ${flat ? 'holds' : 'no'}`,
    )
    await quiet()
    return flat
  }
  /**
   * Waits until everything has landed and is on disk. Otherwise Linux keeps what Postgres has appended for 30 s and
   * writes it at once, and a sync of Redis then takes 50 to 100 ms.
   */
  async function quiet(): Promise<void> {
    await drained(world, id)
    await promisify(execFile)('sync')
  }
  /** Several tries, because a machine hesitates at times. */
  async function holdsOnce(rate: number): Promise<boolean> {
    for (let tries = 0; tries < TRIES; tries++) if (await holds(rate)) return true
    return false
  }
  let low = -1
  for (let high = LADDER.length; high - low > 1; ) {
    const middle = (low + high) >> 1
    const rate = LADDER[middle] as number
    if (await holdsOnce(rate)) low = middle
    else high = middle
  }
  const rate = LADDER[low] ?? 0
  const half = { rate: Math.max(100, rate / 2), seconds }
  await using bare = await startIngest(candidate('A'), world)
  await world.send(bare.port, half)
  const rounds: { halfP99: number; bareHalfP99: number; toRowP50: number; toRowP99: number }[] = []
  while (rounds.length < HALF_ROUNDS) {
    const sent = await world.send(ingest.port, half)
    await quiet()
    const sentBare = await world.send(bare.port, half)
    rounds.push({ halfP99: sent.p99, bareHalfP99: sentBare.p99, ...(await timeToRow(world, id, sent.tag)) })
  }
  return {
    id,
    rate,
    halfP99: median(rounds.map(({ halfP99 }) => halfP99)),
    bareHalfP99: median(rounds.map(({ bareHalfP99 }) => bareHalfP99)),
    toRowP50: median(rounds.map(({ toRowP50 }) => toRowP50)),
    toRowP99: median(rounds.map(({ toRowP99 }) => toRowP99)),
    ingestMemory: residentMegabytes(ingest.pid),
    workerMemory: residentMegabytes(worker.pid),
  }
}

/** Only Sluice stores the time of receipt. */
async function timeToRow({ db }: World, id: string, tag: string) {
  if (candidate(id).table !== 'events') return { toRowP50: Number.NaN, toRowP99: Number.NaN }
  const { rows } = await db.pool.query(
    `select percentile_cont(array[0.5, 0.99]) within group
      (order by extract(epoch from pg_xact_commit_timestamp(xmin) - received_at) * 1000) as ms
    from events where journey_id >= $1 and journey_id < $1 || 'x'`,
    [tag],
  )
  const [toRowP50 = Number.NaN, toRowP99 = Number.NaN] = (rows[0].ms ?? []) as number[]
  return { toRowP50, toRowP99 }
}

async function drained(world: World, id: string): Promise<void> {
  for (const limit = Date.now() + 60_000; Date.now() < limit; ) {
    if (((await candidate(id).waiting?.(world)) ?? 0) === 0) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${id} has not landed what it was sent`)
}
