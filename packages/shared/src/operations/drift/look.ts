import {
  countStretch,
  type Db,
  type Landed,
  type LookedAt,
  noteDrifts,
  noteLook,
  readSlice,
  readStretch,
  type Stretch,
  timesIn,
} from '../../db/index.ts'
import { createTally } from './tally.ts'

/** Events of one query. Between two of them the process does its other work. */
const SLICE = 100
const SLICES = 10
/** An event lands in a transaction, which may become visible so long after it began. */
const LAG_MS = 10_000

/**
 * Compares the events that have landed since the last look with what is documented, and notes how they differ. Up to
 * 1,000 events are all looked at; of more, a hundred from each of ten moments that chance decides.
 *
 * @returns how many were looked at
 */
export async function lookForDrift(
  db: Db,
  { stop, lagMs = LAG_MS }: { stop: AbortSignal; lagMs?: number },
): Promise<number> {
  const stretch = await readStretch(db.pool, lagMs)
  const tally = createTally(stretch.counts)
  const present = await countStretch(db.pool, stretch, SLICES * SLICE + 1)
  const slices = present > SLICES * SLICE ? sampled(db, stretch) : whole(db, stretch)
  let last: Landed = stretch.from
  let looked = 0
  for await (const slice of slices) {
    stop.throwIfAborted()
    for (const event of slice) tally.add(event)
    last = slice.at(-1) ?? last
    looked += slice.length
  }
  const { found, counts } = tally.sum()
  const from = present > looked ? { processedAt: stretch.until, n: -1 } : last
  await db.transaction(async (connection) => {
    await noteLook(connection, { from, counts, countedSince: stretch.countedSince })
    await noteDrifts(connection, found)
  })
  return looked
}

/** All events of a stretch. */
async function* whole({ pool }: Db, { from, until }: Stretch): AsyncGenerator<LookedAt[]> {
  let after: Landed = from
  for (let n = 0; n < SLICES; n++) {
    const slice = await readSlice(pool, { from: after, until }, SLICE)
    if (slice.length > 0) yield slice
    if (slice.length < SLICE) return
    after = slice.at(-1) as Landed
  }
}

/** Of each tenth of a stretch the first events after a moment. */
async function* sampled({ pool }: Db, stretch: Stretch): AsyncGenerator<LookedAt[]> {
  const moments = Array.from({ length: SLICES }, (_, n) => (n + Math.random()) / SLICES)
  const ends = Array.from({ length: SLICES }, (_, n) => (n + 1) / SLICES)
  const times = await timesIn(pool, stretch, [...moments, ...ends])
  for (let n = 0; n < SLICES; n++) {
    const from = { processedAt: times[n] as string, n: -1 }
    const slice = await readSlice(pool, { from, until: times[SLICES + n] as string }, SLICE)
    if (slice.length > 0) yield slice
  }
}
