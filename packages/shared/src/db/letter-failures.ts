import type { deadLetters } from './schema.ts'

/** One failure of the event of a dead letter. */
export type LetterFailure = {
  readonly failedAt: Date
  readonly reason: string
  readonly errorClass: string
  readonly errorMessage: string
}

/** The failures that are kept of a dead letter. */
export type WithFailures = {
  readonly firstFailedAt: Date
  /** The newest first, at most ten. */
  readonly failures: readonly LetterFailure[]
}

const MOST_EARLIER = 9

/** SQL, within an update of `dead_letters`: its `earlier_failures` with the failure that the update replaces. */
export const WITH_LAST_FAILURE = `jsonb_path_query_array(jsonb_build_object('failedAt', dead_letters.last_failed_at,
  'reason', dead_letters.reason, 'errorClass', dead_letters.error_class, 'errorMessage', dead_letters.error_message)
  || dead_letters.earlier_failures, '$[0 to ${MOST_EARLIER - 1}]')`

type Row = Pick<
  typeof deadLetters.$inferSelect,
  'firstFailedAt' | 'lastFailedAt' | 'reason' | 'errorClass' | 'errorMessage' | 'earlierFailures'
>

/** A row with all of its failures in one list. */
export function withFailures<Letter extends Row>({
  earlierFailures,
  ...letter
}: Letter): Omit<Letter, 'earlierFailures'> & WithFailures {
  const { lastFailedAt: failedAt, reason, errorClass, errorMessage } = letter
  const earlier = earlierFailures.map((failure) => ({ ...failure, failedAt: new Date(failure.failedAt) }))
  return { ...letter, failures: [{ failedAt, reason, errorClass, errorMessage }, ...earlier] }
}

/** Whether the first failure is among those that are kept. An earlier release kept the last one alone. */
export function keepsFirst({ firstFailedAt, failures }: WithFailures): boolean {
  const oldest = failures.at(-1)?.failedAt ?? firstFailedAt
  // The same time, read once from a document and once from a column.
  return oldest.getTime() - firstFailedAt.getTime() <= 1
}
