import {
  type Connection,
  type InboxRow,
  type Job,
  type LandingOutcome,
  type LandOptions,
  landJobs,
  letterOf,
  writeDeadLetters,
} from '@sluice/shared/db'
import { type DeadLetterReason, dispositionOf } from '@sluice/shared/disposition'
import { NO_ENVELOPE, parseJson, readEnvelope } from '@sluice/shared/envelope'
import type { Handled } from './count.ts'

/** A row that was taken, and its job; `job` is undefined if the row is no envelope. */
export type ReadRow = { readonly row: InboxRow; readonly job: Job | undefined }

export function readRows(rows: readonly InboxRow[]): ReadRow[] {
  return rows.map((row) => ({ row, job: readJobOf(row) }))
}

function readJobOf({ jobId, envelope, duplicates, replayOf }: InboxRow): Job | undefined {
  const read = readEnvelope(parseJson(envelope))
  return read && { jobId, envelope: read, via: 'inbox', duplicates, replayOf }
}

/** Lands rows that were taken; a row that is no envelope, or has crashed too many workers, becomes a dead letter. */
export async function landRows(
  connection: Connection,
  rows: readonly ReadRow[],
  options: LandOptions = {},
): Promise<Handled[]> {
  if (rows.length === 0) return []
  const jobs: Job[] = []
  const crashed: InboxRow[] = []
  const unreadable: InboxRow[] = []
  for (const { row, job } of rows) {
    if (isBuriedForCrashes(row)) crashed.push(row)
    else if (job) jobs.push(job)
    else unreadable.push(row)
  }
  const outcomes = await landJobs(connection, jobs, options)
  const crash = ({ crashes }: InboxRow) => new Error(`Its worker died with it ${crashes} times.`)
  const buried = await writeDeadLetters(
    connection,
    [
      ...crashed.map((row) => letterOfRow(row, 'worker_crashed', crash(row))),
      ...unreadable.map((row) => letterOfRow(row, 'unreadable', new Error(NO_ENVELOPE))),
    ],
    options,
  )
  return [
    ...jobs.map(({ envelope, replayOf }, index) => ({
      outcome: outcomes[index] as LandingOutcome,
      receivedAt: envelope.at,
      isReplay: replayOf !== null,
    })),
    ...[...crashed, ...unreadable].map((_, index) => ({
      outcome: index < buried ? ('dead_letter' as const) : ('erased' as const),
    })),
  ]
}

function isBuriedForCrashes({ crashes }: InboxRow): boolean {
  return crashes > 0 && dispositionOf({ cause: 'crash', crashes }).kind === 'bury'
}

export function letterOfRow(row: InboxRow, reason: DeadLetterReason, error: unknown) {
  const { jobId, envelope, attempts } = row
  return letterOf({ jobId, envelope, attempts: attempts + 1 }, reason, error)
}
