import {
  type Connection,
  type DeadLetterReason,
  type InboxRow,
  type Job,
  type LandingOutcome,
  type LandOptions,
  landJobs,
  writeDeadLetters,
} from '@sluice/shared/db'
import { readEnvelope } from '@sluice/shared/envelope'
import { describeError } from '@sluice/shared/runtime'
import type { Handled } from './count.ts'

/** As many crashes as the queue allows a job. */
const MAX_CRASHES = 10

/** Lands taken rows; those that are no envelope become dead letters. */
export async function landRows(
  connection: Connection,
  rows: readonly InboxRow[],
  options: LandOptions = {},
): Promise<Handled[]> {
  if (rows.length === 0) return []
  const crashed = rows.filter((row) => row.crashes > MAX_CRASHES)
  const read = rows
    .filter((row) => !crashed.includes(row))
    .map((row) => ({ row, delivery: readInboxJob(row) }))
  const deliveries = read.flatMap(({ delivery }) => delivery ?? [])
  const outcomes = await landJobs(connection, deliveries, options)
  const unreadable = read.filter(({ delivery }) => !delivery).map(({ row }) => row)
  await writeDeadLetters(
    connection,
    crashed.map((row) =>
      letterOf(row, 'worker_crashed', new Error(`Its worker died with it ${row.crashes} times.`)),
    ),
    options,
  )
  await writeDeadLetters(
    connection,
    unreadable.map((row) =>
      letterOf(row, 'unreadable', new Error('The row carries no envelope that this version knows.')),
    ),
    options,
  )
  return [
    ...deliveries.map(({ envelope }, index) => ({
      outcome: outcomes[index] as LandingOutcome,
      receivedAt: envelope.at,
    })),
    ...[...crashed, ...unreadable].map(() => ({ outcome: 'dead_letter' as const })),
  ]
}

/** Undefined where the row is no envelope. */
export function readInboxJob({ jobId, envelope, duplicates, replayOf }: InboxRow): Job | undefined {
  const read = readEnvelope(parseJson(envelope))
  return read && { jobId, envelope: read, via: 'inbox', duplicates, replayOf }
}

export function letterOf(row: InboxRow, reason: DeadLetterReason, error: unknown) {
  const { jobId, envelope, attempts } = row
  return { jobId, reason, error: describeError(error), attempts: attempts + 1, envelope }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
