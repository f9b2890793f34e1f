import {
  countIncidents,
  type OpenWork,
  readInboxDepth,
  readMinutes,
  readOpenWork,
  readStandbys,
  type Standbys,
  seenProcesses,
} from '../../db/index.ts'
import { REDELIVERY_SPAN_MS } from '../../idwise/index.ts'
import { withDeadline } from '../../runtime/index.ts'
import { ALERT_WORDS } from '../alerts/texts.ts'
import type { Stores } from '../stores.ts'
import { isAlive } from './causes.ts'
import { flowOf } from './flow.ts'

/** The figures of the stores for the metrics. */
export type StoreGauges = {
  /** Null if it could not be read. */
  readonly postgres: PostgresGauges | null
  /** Null if it could not be read, undefined without Redis. */
  readonly redis: RedisGauges | null | undefined
}

type PostgresGauges = Pick<OpenWork, 'letters' | 'journeys' | 'erasures' | 'drifts'> & {
  readonly inbox: { readonly rows: number; readonly oldestMs: number }
  readonly lastEvents: Readonly<Record<string, Date | null>>
  /** The age of the first refused event of each environment that IDWise still tries, ms. */
  readonly refusedForMs: Readonly<Record<string, number>>
  /** The release of each process that gave a sign of life. */
  readonly workers: readonly string[]
  readonly ingests: readonly string[]
  readonly standbys: Standbys
  /** Open incidents of each alert. */
  readonly incidents: Readonly<Record<string, number>>
}

type RedisGauges = {
  /** Of each shard by their states, without completed ones. */
  readonly jobs: readonly Readonly<Record<string, number>>[]
  /** Of each shard; 0 if no event waits. */
  readonly oldestMs: readonly number[]
  /** Of all masters. */
  readonly replicas: number
  /** The used part of the memory limit of each master that has one. */
  readonly memory: readonly { readonly node: string; readonly ratio: number }[]
}

const NO_INCIDENTS = Object.fromEntries(Object.keys(ALERT_WORDS).map((name) => [name, 0]))
const READ_MS = 4_000
const READY_MS = 1_000
const RECENT_MS = 120_000

/** Reads both stores once, by the queries of `readState`. Nothing is counted in a table that grows. */
export async function readGauges({ db, queue }: Pick<Stores, 'db' | 'queue'>): Promise<StoreGauges> {
  const [postgres, redis] = await Promise.all([
    withDeadline(readPostgres(db), READ_MS, 'reading the gauges of Postgres').catch(() => null),
    queue && withDeadline(readRedis(queue), READ_MS, 'reading the gauges of Redis').catch(() => null),
  ])
  return { postgres, redis }
}

async function readPostgres({ pool }: Stores['db']): Promise<PostgresGauges> {
  const at = new Date()
  // One after the other: the round has time, and takes one connection.
  const depth = await readInboxDepth(pool)
  const minutes = await readMinutes(pool, new Date(at.getTime() - RECENT_MS))
  const living = (await seenProcesses(pool, RECENT_MS)).filter(isAlive)
  const { refusals, ...work } = await readOpenWork(pool, REDELIVERY_SPAN_MS)
  const releases = (app: string) => living.filter((each) => each.app === app).map(({ release }) => release)
  return {
    ...work,
    inbox: { rows: depth.waiting.count, oldestMs: depth.oldestMs ?? 0 },
    lastEvents: flowOf(minutes, at, []).lastEvents,
    refusedForMs: Object.fromEntries(refusals.map(({ environment, ageMs }) => [environment, ageMs])),
    workers: releases('worker'),
    ingests: releases('ingest'),
    standbys: await readStandbys(pool),
    incidents: { ...NO_INCIDENTS, ...(await countIncidents(pool, Object.keys(NO_INCIDENTS))) },
  }
}

async function readRedis(queue: NonNullable<Stores['queue']>): Promise<RedisGauges> {
  if (!(await queue.ready(READY_MS))) throw new Error('Redis does not answer')
  const jobs = await queue.countsOfShards()
  const oldest = await queue.oldestOfShards()
  const servers = await queue.servers()
  return {
    jobs: jobs.map(({ completed: _, ...open }) => open),
    oldestMs: oldest.map((at) => (at === undefined ? 0 : Math.max(0, Date.now() - at))),
    replicas: servers.reduce((sum, { replicas }) => sum + replicas, 0),
    memory: servers.flatMap(({ node, memoryRatio: ratio }) => (ratio === undefined ? [] : [{ node, ratio }])),
  }
}
