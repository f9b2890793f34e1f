import { availableParallelism } from 'node:os'
import { machine, markdown } from '@sluice/testkit/report'
import { type Capacity, PARTS, type Part, type Point } from './measures/capacity.ts'
import type { Shards } from './measures/shards.ts'

/** Events a second, as companies have them. The first two are measured as well. */
const RATES = [10, 500, 20_000, 100_000]
/** A process is planned for half of a core, so that it holds when one of two ends, and at peaks. */
const PLANNED_LOAD = 0.5
/** A Postgres uses several cores, and one Redis only one. */
const POSTGRES_CORES = 2
const SHARDS_PER_MASTER = 4
const DAY_SECONDS = 86_400
/** Redis keeps finished jobs for an hour, and at most 200,000 of each shard. */
const KEPT = { seconds: 3_600, most: 200_000 }

/**
 * How many cores a part keeps busy at a rate: between two points on a straight line of the logarithms, beyond the last
 * one in proportion.
 */
function coresAt(points: readonly Point[], part: Part, rate: number): number {
  const [idle, ...busy] = points.map((point) => ({ rate: point.rate, cores: point.cores[part] }))
  if (!idle) return Number.NaN
  const known = busy.map((point) => ({ rate: point.rate, more: Math.max(1e-6, point.cores - idle.cores) }))
  const above = known.findIndex((point) => point.rate >= rate)
  const [low, high] = [known[above - 1], known[above]]
  const last = known.at(-1)
  if (!last) return idle.cores
  if (!high) return idle.cores + (last.more * rate) / last.rate
  if (!low) return idle.cores + (high.more * rate) / high.rate
  const share = Math.log(rate / low.rate) / Math.log(high.rate / low.rate)
  return idle.cores + low.more * (high.more / low.more) ** share
}

const sumAt = (points: readonly Point[], rate: number) =>
  PARTS.reduce((sum, part) => sum + coresAt(points, part, rate), 0)

const sumOf = ({ cores }: Point) => PARTS.reduce((sum, part) => sum + cores[part], 0)

/** What a rate needs. Memory and bytes are GB. */
function planFor({ points, memory, bytes }: Capacity, rate: number) {
  const cores = (part: Part) => coresAt(points, part, rate)
  const processes = (part: Part) => Math.max(2, Math.ceil(cores(part) / PLANNED_LOAD))
  const masters = Math.max(1, Math.ceil(cores('redis') / PLANNED_LOAD))
  const shards = masters === 1 ? 1 : masters * SHARDS_PER_MASTER
  const kept = Math.min(rate * KEPT.seconds, shards * KEPT.most)
  return {
    rate,
    cores,
    ingests: processes('ingest'),
    workers: processes('worker'),
    masters,
    shards,
    primaries: Math.max(1, Math.ceil(cores('postgres') / POSTGRES_CORES)),
    processMemory: (processes('ingest') * memory.ingest + processes('worker') * memory.worker) / 1_024,
    redisMemory: (kept * bytes.finishedJob) / 1e9,
    dayOfRows: (rate * DAY_SECONDS * bytes.rows) / 1e9,
    dayOfWal: (rate * DAY_SECONDS * bytes.wal) / 1e9,
    dayOfRedis: (rate * DAY_SECONDS * bytes.appendOnlyFile) / 1e9,
  }
}

/** The page in Markdown. */
export async function capacityPage(
  capacity: Capacity,
  shards: readonly Shards[],
  postgresVersion: string,
): Promise<string> {
  const { points, checks, memory, bytes } = capacity
  const plans = RATES.map((rate) => planFor(capacity, rate))
  const [one, two] = shards
  return `# Capacity

Written by \`npm run bench -- --capacity\` on ${new Date().toISOString().slice(0, 10)}. It measures what one ingest, one worker, Redis (append-only file,
\`appendfsync always\`) and Postgres need for events of about 200 bytes, and computes the rest. A faster machine needs less: run it on yours.

## What a rate needs

${markdown([
  ['events/s', ...plans.map(({ rate }) => number(rate))],
  ['ingest processes', ...plans.map(({ ingests }) => number(ingests))],
  ['worker processes', ...plans.map(({ workers }) => number(workers))],
  ['masters of Redis', ...plans.map(({ masters }) => number(masters))],
  ['QUEUE_SHARDS', ...plans.map((plan) => number(plan.shards))],
  ['primaries of Postgres', ...plans.map(({ primaries }) => number(primaries))],
  ...PARTS.map((part) => [`busy cores: ${NAMES[part]}`, ...plans.map(({ cores }) => number(cores(part)))]),
  ['memory of the processes, GB', ...plans.map(({ processMemory }) => number(processMemory))],
  ['memory of Redis for finished jobs, GB', ...plans.map(({ redisMemory }) => number(redisMemory))],
  ['rows and indexes a day, GB', ...plans.map(({ dayOfRows }) => number(dayOfRows))],
  ['log of Postgres (WAL) a day, GB', ...plans.map(({ dayOfWal }) => number(dayOfWal))],
  ['append-only file a day, GB', ...plans.map(({ dayOfRedis }) => number(dayOfRedis))],
])}

- A process is planned for half of a core, so that two of them do the work of one that ends, and peaks find room. There are two of each at least.
- One master of Redis uses one core. Give it four shards, so that they divide evenly. A replica of each, and a standby of each primary, come on top.
- A primary is planned for ${POSTGRES_CORES} cores. Where a rate needs more than one, run several installs side by side, each with its own database and its part of the
  journeys.
- Redis keeps finished jobs for an hour, at most 200,000 of each shard; ${number(bytes.finishedJob)} bytes each while they have their bodies. What waits while workers are
  away takes about as much.
- The append-only file is rewritten when it has doubled: its size on disk is about twice that of what is in memory, not what is written in a day.
- The log is written without the page images that follow a checkpoint on large tables; plan twice as much.

## What was measured

${markdown([
  ['events/s', ...PARTS.map((part) => NAMES[part]), 'sum', 'predicted', 'difference'],
  ...[...points, ...checks]
    .sort((a, b) => a.rate - b.rate)
    .map((point) => [
      number(point.rate),
      ...PARTS.map((part) => number(point.cores[part])),
      number(sumOf(point)),
      ...(checks.includes(point) ? predicted(points, point) : ['', '']),
    ]),
])}

Busy cores. The rates with a prediction were left out when it was made. Beyond ${number(points.at(-1)?.rate ?? 0)} events a second each further event is taken to cost
as much as there. A process that is planned for half of a core has about that rate.

Per event: ${number(bytes.rows)} bytes of rows and indexes, ${number(bytes.wal)} of Postgres' log, ${number(bytes.appendOnlyFile)} of the append-only file. An ingest takes ${number(memory.ingest)} MB, a worker
${number(memory.worker)} MB.

## Two shards

A Redis Cluster of three masters; each shard has a worker of its own, and a backlog waits.

${markdown([
  ['shards', 'events/s', 'ratio', 'CPU of workers and stores, µs per event', 'ratio'],
  ...shards.map(({ shards, perSecond, cpuMicros }) => [
    String(shards),
    number(perSecond),
    one ? number(perSecond / one.perSecond) : '',
    number(cpuMicros),
    one ? number(cpuMicros / one.cpuMicros) : '',
  ]),
])}

${two && one ? sharesOf(one, two) : ''}

## The machine

${markdown([['', ''], ...(await machine(postgresVersion))])}
`
}

const NAMES: Readonly<Record<Part, string>> = {
  ingest: 'ingest',
  worker: 'worker',
  redis: 'Redis',
  postgres: 'Postgres',
}

function predicted(points: readonly Point[], point: Point): string[] {
  const expected = sumAt(points, point.rate)
  const percent = Math.round((sumOf(point) / expected - 1) * 100)
  return [number(expected), `${percent > 0 ? '+' : ''}${percent} %`]
}

/** What the cores of this machine allow. */
function sharesOf(one: Shards, two: Shards): string {
  const busy = (each: Shards) => number((each.perSecond * each.cpuMicros) / 1e6)
  return `With one shard ${busy(one)} of ${availableParallelism()} cores are busy, with two ${busy(two)}: what two shards can gain here ends where the cores do.`
}

function number(value: number): string {
  if (value >= 10) return Math.round(value).toLocaleString('en')
  return value >= 1 || value === 0 ? value.toFixed(value % 1 === 0 ? 0 : 1) : value.toPrecision(2)
}
