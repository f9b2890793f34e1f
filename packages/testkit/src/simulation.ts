import { createAudit, type Db } from '@sluice/shared/db'
import {
  type EventRow,
  parseMix,
  type Report,
  readLedger,
  type SimulateOptions,
  type Summary,
  simulate,
  verify,
} from '@sluice/simulator'
import { CREDENTIALS } from './settings.ts'

/** Sends what IDWise sends, with everything that happens to its webhooks on their way. */
export function playIdwise(
  options: Pick<
    SimulateOptions,
    'url' | 'seed' | 'ratePerSecond' | 'timeScale' | 'timeoutMs' | 'ledgerPath'
  > &
    Partial<SimulateOptions>,
): Promise<Summary> {
  return simulate({ credentials: CREDENTIALS, mix: parseMix('all'), connections: 32, ...options })
}

/** Compares a ledger with the database, but for rows of events that the ledger cannot know. */
export function compareWithLedger(
  db: Db,
  ledgerPath: string,
  unknown: ReadonlySet<string> = new Set(),
): Promise<Report> {
  const audit = createAudit(db)
  return verify({
    ledger: readLedger(ledgerPath),
    events: without(audit.events(), unknown),
    deadLetters: audit.deadLetters(),
    journeys: audit.journeys(),
  })
}

async function* without(
  rows: AsyncIterable<EventRow>,
  eventIds: ReadonlySet<string>,
): AsyncGenerator<EventRow> {
  for await (const row of rows) if (!eventIds.has(row.event_id ?? '')) yield row
}
