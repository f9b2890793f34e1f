import { setTimeout as pause } from 'node:timers/promises'
import { candidate, type Started, startIngest, startWorker } from '../candidates.ts'
import { failed } from '../load.ts'
import { cpuSeconds, residentMegabytes, treeCpuSeconds } from '../machine.ts'
import type { World } from '../world.ts'

export const PARTS = ['ingest', 'worker', 'redis', 'postgres'] as const
export type Part = (typeof PARTS)[number]
type Each = Readonly<Record<Part, number>>

/** How many cores each part keeps busy at a rate, events a second. */
export type Point = { readonly rate: number; readonly cores: Each }

export type Capacity = {
  /** From the lowest rate to the highest one. The first one is 0. */
  readonly points: readonly Point[]
  /** At rates between those of the points: what is predicted from them must be seen here. */
  readonly checks: readonly Point[]
  /** The most memory of a process, MB. */
  readonly memory: { readonly ingest: number; readonly worker: number }
  /** Bytes for each event of about 200 bytes. */
  readonly bytes: {
    /** Rows and indexes. */
    readonly rows: number
    readonly wal: number
    readonly appendOnlyFile: number
    /** A finished job in Redis. */
    readonly finishedJob: number
  }
}

const RATES = [3, 40, 150]
/** At this one bytes are measured as well. */
const SIZED_RATE = 1_500
/** Near the rate for which a process is planned, where an event is cheap. A slow machine leaves it out. */
const FAST_RATE = 5_000
const CHECKED_RATES = [10, 500]
const SECONDS = 20
class TooFast extends Error {}

const WARM_UP = { rate: 500, seconds: 4 }
/** Until what was sent last has landed, and its transactions are over. */
const REST_MS = 1_500

/** Measures one ingest and one worker at steady rates, with what their Redis and Postgres need for them. */
export async function measureCapacity(world: World, report: (line: string) => void): Promise<Capacity> {
  await world.clear()
  await using ingest = await startIngest(candidate('S'), world)
  await using worker = await startWorker(candidate('S'), world)
  await world.send(ingest.port, WARM_UP)
  await pause(REST_MS)

  async function pointAt(rate: number): Promise<Point> {
    report(`capacity: ${rate}/s`)
    const before = usage(world, ingest, worker)
    const began = performance.now()
    if (rate === 0) await pause(SECONDS * 1_000)
    else {
      const sent = await world.send(ingest.port, { rate, seconds: SECONDS })
      if (failed(sent) > 0) throw new TooFast(`answers other than 200: ${JSON.stringify(sent)}`)
    }
    // What is still under way belongs to this rate.
    await pause(REST_MS)
    const after = usage(world, ingest, worker)
    const seconds = rate === 0 ? (performance.now() - began) / 1_000 : SECONDS
    return { rate, cores: each((part) => (after[part] - before[part]) / seconds) }
  }

  const points = [await pointAt(0)]
  const checks: Point[] = []
  // In the order of the rates, so that a machine that changes its speed changes neighbours.
  for (const rate of [...RATES, ...CHECKED_RATES].sort((a, b) => a - b)) {
    ;(CHECKED_RATES.includes(rate) ? checks : points).push(await pointAt(rate))
  }
  const empty = await sizes(world)
  points.push(await pointAt(SIZED_RATE))
  const full = await sizes(world)
  const perEvent = (size: keyof typeof full) => (full[size] - empty[size]) / (SIZED_RATE * SECONDS)
  try {
    points.push(await pointAt(FAST_RATE))
  } catch (error) {
    if (!(error instanceof TooFast)) throw error
    report(`capacity: this machine is too slow for ${FAST_RATE}/s`)
  }
  return {
    points,
    checks,
    memory: { ingest: residentMegabytes(ingest.pid), worker: residentMegabytes(worker.pid) },
    bytes: {
      rows: perEvent('rows'),
      wal: perEvent('wal'),
      appendOnlyFile: perEvent('appendOnlyFile'),
      finishedJob: perEvent('redis'),
    },
  }
}

function each(of: (part: Part) => number): Each {
  return { ingest: of('ingest'), worker: of('worker'), redis: of('redis'), postgres: of('postgres') }
}

/** CPU seconds so far. */
function usage({ redis, postgres }: World, ingest: Started, worker: Started): Each {
  return {
    ingest: cpuSeconds(ingest.pid),
    worker: cpuSeconds(worker.pid),
    redis: cpuSeconds(redis.pid()),
    postgres: treeCpuSeconds(postgres.pids()),
  }
}

const SIZES = `select pg_database_size(current_database())::float8 as rows,
  pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal`

async function sizes({ db, redis }: World) {
  const { rows } = await db.pool.query<{ rows: number; wal: number }>(SIZES)
  const info = String(await redis.command('INFO', 'everything'))
  const figure = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1])
  return {
    rows: rows[0]?.rows ?? Number.NaN,
    wal: rows[0]?.wal ?? Number.NaN,
    appendOnlyFile: figure('aof_current_size'),
    redis: figure('used_memory'),
  }
}
