import { statfs } from 'node:fs/promises'
import {
  type AlertFacts,
  behindMs,
  coveredUntil,
  type Db,
  type DriftRow,
  expectReplicas,
  listDrifts,
  listPartitions,
  readAlertFacts,
  readRetention,
} from '../../db/index.ts'
import { type Finding, withDeadline } from '../../runtime/index.ts'
import type { Stores } from '../stores.ts'

/** The standbys of Postgres, or the replicas of all masters of Redis. */
type ReplicaFacts = {
  readonly store: 'Postgres' | 'Redis'
  readonly found: number
  readonly expected: number
  /** A check of the store says by itself that one is gone. */
  readonly isTold: boolean
}

/** What the stores say beside the state. */
export type StorageFacts = AlertFacts & {
  /** Of each store that tells them. */
  readonly replicas: readonly ReplicaFacts[]
  /** Redis did not answer when it was asked for its replicas. */
  readonly isRedisSilent: boolean
  /** For how long partitions are made ahead, and for how long events are kept beyond their term, ms. */
  readonly aheadMs: number
  readonly behindMs: number
  /** The newest differences that nobody has acknowledged; one more than are told, if there are more. */
  readonly drifts: readonly DriftRow[]
  /** The share of the disk that is free, and when it is full at the rate of the last minutes; null if not known. */
  readonly disk: { readonly free: number; readonly fullInMs: number } | null
}

export const MOST_DRIFTS = 20

type Sample = { readonly at: number; readonly bytes: number }
/** The rate is that of so long. */
const SAMPLES_MS = 300_000
const LEAST_MS = 60_000

const REDIS_MS = 1_000

/** @returns reads the facts; it remembers how fast the disk of Postgres fills */
export function createStorageFacts(): (
  stores: Pick<Stores, 'db' | 'queue'>,
  findings: readonly Finding[],
) => Promise<StorageFacts> {
  let samples: Sample[] = []

  async function diskOf(folder: string): Promise<StorageFacts['disk']> {
    // A container may have another folder of this name, or none.
    const found = await statfs(folder).catch(() => undefined)
    if (!found || found.blocks === 0) return null
    const [at, bytes] = [performance.now(), found.bavail * found.bsize]
    samples = [...samples.filter((sample) => at - sample.at < SAMPLES_MS), { at, bytes }]
    const first = samples[0] as Sample
    const perMs = at - first.at < LEAST_MS ? 0 : (first.bytes - bytes) / (at - first.at)
    return {
      free: found.bavail / found.blocks,
      fullInMs: perMs > 0 ? bytes / perMs : Number.POSITIVE_INFINITY,
    }
  }

  return async ({ db: { pool }, queue }, findings) => {
    const facts = await readAlertFacts(pool)
    const state = await readRetention(pool)
    const present = await listPartitions(pool)
    const inRedis = queue ? await replicasOf(queue).catch(() => null) : undefined
    const replicas = [await compare(pool, 'Postgres', facts.standbys, false)]
    if (typeof inRedis === 'number') {
      const isTold = findings.some(({ alert, name }) => alert === 'replica-gone' && name.startsWith('Redis'))
      replicas.push(await compare(pool, 'Redis', inRedis, isTold))
    }
    return {
      ...facts,
      replicas,
      isRedisSilent: inRedis === null,
      aheadMs: coveredUntil(present, state.now).getTime() - state.now.getTime(),
      behindMs: behindMs(state, present),
      drifts: await listDrifts(pool, { limit: MOST_DRIFTS + 1 }),
      disk: facts.folder === null ? null : await diskOf(facts.folder),
    }
  }
}

async function compare(
  pool: Db['pool'],
  store: ReplicaFacts['store'],
  found: number,
  isTold: boolean,
): Promise<ReplicaFacts> {
  return { store, found, expected: await expectReplicas(pool, { store, found, isTold }), isTold }
}

/** Undefined if its user may not ask. @throws while it does not answer */
async function replicasOf(queue: NonNullable<Stores['queue']>): Promise<number | undefined> {
  if (!(await queue.ready(REDIS_MS))) throw new Error('Redis does not answer')
  const servers = await withDeadline(queue.servers(), REDIS_MS, 'asking for replicas')
  return servers.length > 0 ? servers.reduce((sum, { replicas }) => sum + replicas, 0) : undefined
}
