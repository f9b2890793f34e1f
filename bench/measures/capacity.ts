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
  /** Bytes for each event of about 200 bytes, at the highest rate. */
  readonly bytes: {
    /** Rows and indexes. */
    readonly rows: number
    readonly wal: number
    readonly appendOnlyFile: number
    /** A finished job in Redis. */
    readonly finishedJob: number
  }
}

const RATES = [3, 40, 150, 1_500]
const CHECKED_RATES = [10, 500]
const SECONDS = 20
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
      if (failed(sent) > 0) throw new Error(`answers other than 200: ${JSON.stringify(sent)}`)
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
  for (const rate of [...RATES.slice(0, -1), ...CHECKED_RATES].sort((a, b) => a - b)) {
    ;(CHECKED_RATES.includes(rate) ? checks : points).push(await pointAt(rate))
  }
  const top = RATES.at(-1) as number
  const empty = await sizes(world)
  points.push(await pointAt(top))
  const full = await sizes(world)
  const perEvent = (size: keyof typeof full) => (full[size] - empty[size]) / (top * SECONDS)
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
