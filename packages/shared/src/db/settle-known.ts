import { writeEnvelope } from '../envelope.ts'
import { decodeBody, isGzip } from '../idwise/decode.ts'
import { writeDeadLetters } from './dead-letters.ts'
import { bodySha256, bytesOf, type EventRow } from './event-row.ts'
import { type FoldOptions, journeyIn, type Touched } from './journeys.ts'
import { countDuplicates, forgetKeys, type LockedEvent, lockEvents, readCompressed } from './known-events.ts'
import type { Connection } from './pool.ts'

/** What becomes of a delivery whose event has a key already. */
export type KnownOutcome = 'duplicate' | 'late_duplicate' | 'conflict' | 'erased'

/**
 * Separates duplicates from conflicts among the rows whose event has a key already. It counts duplicates, makes dead
 * letters of conflicts, and marks the journeys that must be read anew.
 *
 * @returns the outcomes; `gone` are the rows whose event somebody has deleted by hand: their keys are forgotten, so
 * that they can land anew
 */
export async function settleKnown(
  connection: Connection,
  others: readonly EventRow[],
  journeys: Map<string, Touched>,
  options: FoldOptions,
): Promise<{ outcomes: Map<EventRow, KnownOutcome>; gone: EventRow[] }> {
  const outcomes = new Map<EventRow, KnownOutcome>()
  const known = await lockEvents(connection, others.map((row) => row.eventKey).sort(Buffer.compare))
  const keyed = others.map((row) => ({ row, there: known.get(row.eventKey.toString('latin1')) }))
  const gone = keyed.filter(({ there }) => !there || isGone(there)).map(({ row }) => row)
  await forgetKeys(
    connection,
    gone.map((row) => row.eventKey),
  )
  // An event that was erased stays erased, whatever the new delivery says.
  for (const { row, there } of keyed) if (there?.n === null) outcomes.set(row, 'erased')
  const found = keyed.filter(
    (entry): entry is Found => entry.there !== undefined && entry.there.n !== null && !isGone(entry.there),
  )

  const isSame = await compareBodies(connection, found)
  const duplicates = new Map<string, Further>()
  const conflicts: EventRow[] = []
  for (const entry of found) {
    const { row, there } = entry
    const { stored } = there
    const isConflict = !isSame(entry)
    outcomes.set(row, isConflict ? 'conflict' : stored ? 'duplicate' : 'late_duplicate')
    if (isConflict) conflicts.push(row)
    if (!stored) continue
    if (isConflict || row.at < stored.receivedAt) {
      const journey = journeyIn(journeys, { environment: stored.environment, event: stored })
      if (journey) journey.altered = true
    }
    if (!isConflict) addFurther(duplicates, entry)
  }
  await countDuplicates(connection, [...duplicates.values()])
  await writeDeadLetters(
    connection,
    conflicts.map((row) => ({
      jobId: row.job.jobId,
      reason: 'conflict' as const,
      error: CONFLICT,
      attempts: 1,
      envelope: writeEnvelope(row.job.envelope),
    })),
    options,
  )
  return { outcomes, gone }
}

type Found = { readonly row: EventRow; readonly there: LockedEvent }
type Further = Parameters<typeof countDuplicates>[1][number]

/** Its partition is there, its content was not erased, and yet there is no row. */
const isGone = ({ stored, isDropped, n }: LockedEvent) => stored === null && !isDropped && n !== null

/**
 * The same delivery id comes from a job that ran twice (its worker died, or its add was repeated), not from a
 * redelivery. A replay is no redelivery either.
 */
function addFurther(duplicates: Map<string, Further>, { row, there }: Found): void {
  const { eventKey, at, job } = row
  const count = (there.stored?.deliveryId === job.envelope.deliveryId ? 0 : 1) + job.duplicates
  if (job.replayOf !== null || count === 0) return
  const key = eventKey.toString('latin1')
  const known = duplicates.get(key)
  const { landedAt, n } = there
  duplicates.set(key, {
    eventKey,
    landedAt,
    n,
    count: (known?.count ?? 0) + count,
    firstAt: Math.min(known?.firstAt ?? at, at),
  })
}

/**
 * Whether a row has the body of the stored event: the same bytes, or the same document compressed otherwise. Of an
 * event that is gone, only the start of its hash is known.
 */
async function compareBodies(
  connection: Connection,
  found: readonly Found[],
): Promise<(entry: Found) => boolean> {
  const others = new Set(found.filter(({ row, there }) => !hasBody(there, bodySha256(row))))
  if (others.size === 0) return () => true
  const places = [...others].map(({ row, there: { landedAt, n } }) => ({
    eventKey: row.eventKey,
    landedAt,
    n,
    isCompressed: isGzip(bytesOf(row)),
  }))
  const bodies = await readCompressed(connection, places)
  return (entry) => {
    if (!others.has(entry)) return true
    const there = bodies.get(entry.row.eventKey.toString('latin1'))
    const [sent, kept] = [decodeBody(bytesOf(entry.row)), there && decodeBody(there)]
    return sent !== undefined && kept !== undefined && sent.equals(kept)
  }
}

function hasBody({ stored, bodyStart }: LockedEvent, sha256: Buffer): boolean {
  return stored ? stored.bodySha256.equals(sha256) : bodyStart.equals(sha256.subarray(0, bodyStart.length))
}

const CONFLICT = {
  name: 'EventConflict',
  message: 'Another body is stored under the same event id; the first one stands.',
}
