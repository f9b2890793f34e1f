import { statfs } from 'node:fs/promises'
import {
  type AlertFacts,
  behindMs,
  coveredUntil,
  type Db,
  listPartitions,
  readAlertFacts,
  readRetention,
} from '../../db/index.ts'

/** What Postgres and its disk say beside the state. */
export type StorageFacts = AlertFacts & {
  /** The most standbys that this process has seen. */
  readonly standbysBefore: number
  /** For how long partitions are made ahead, and for how long events are kept beyond their term, ms. */
  readonly aheadMs: number
  readonly behindMs: number
  /** The share of the disk that is free, and when it is full at the rate of the last minutes; null if not known. */
  readonly disk: { readonly free: number; readonly fullInMs: number } | null
}

type Sample = { readonly at: number; readonly bytes: number }
/** The rate is that of so long. */
const SAMPLES_MS = 300_000
const LEAST_MS = 60_000

/** @returns reads the facts; it remembers the standbys that it saw, and how fast the disk of Postgres fills */
export function createStorageFacts(): (db: Db) => Promise<StorageFacts> {
  let standbysBefore = 0
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

  return async ({ pool }) => {
    const facts = await readAlertFacts(pool)
    const state = await readRetention(pool)
    const present = await listPartitions(pool)
    standbysBefore = Math.max(standbysBefore, facts.standbys)
    return {
      ...facts,
      standbysBefore,
      aheadMs: coveredUntil(present, state.now).getTime() - state.now.getTime(),
      behindMs: behindMs(state, present),
      disk: facts.folder === null ? null : await diskOf(facts.folder),
    }
  }
}
