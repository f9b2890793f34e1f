import { createAudit, type Db } from '@sluice/shared/db'
import type { JourneyRow } from '@sluice/simulator'

/** What must hold after the upgrade. `before` is the state in the fixture, `after` the one once all jobs have ended. */
export type Expected = {
  readonly events: readonly ExpectedEvent[]
  readonly deadLetters: readonly ExpectedLetter[]
  /** The rows in the fixture, without the digest. Times are ISO texts. */
  readonly journeys: readonly StoredJourney[]
  /** The journeys that events change which wait in the fixture. */
  readonly changing: readonly string[]
}

export type StoredJourney = Readonly<Record<keyof JourneyRow, unknown>>

export type ExpectedEvent = {
  readonly environment: string
  readonly eventId: string | null
  /** Of the first body, hex. */
  readonly sha256: string
  /** The duplicates counted; null if it has not landed. */
  readonly before: number | null
  readonly after: number
}

export type ExpectedLetter = {
  readonly reason: string
  readonly eventId: string | null
  readonly sha256: string
  /** Null if it is not there. */
  readonly before: string | null
  readonly after: string
}

/** All rows of journeys as they look in JSON. */
export async function readJourneys(db: Db): Promise<StoredJourney[]> {
  const rows: (JourneyRow & { at?: unknown })[] = await Array.fromAsync(createAudit(db).journeys())
  return rows.map(({ at: _place, ...row }) => JSON.parse(JSON.stringify(row)))
}
