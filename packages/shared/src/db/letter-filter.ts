import * as z from 'zod'
import { DEAD_LETTER_REASONS } from '../disposition.ts'
import { storedId } from '../idwise/event.ts'
import { ENVIRONMENT_NAME } from '../runtime/sources.ts'

const MOST_CHOSEN = 1_000

const id = z.int().min(1)
// Postgres stores no NUL.
const text = z
  .string()
  .min(1)
  .max(512)
  .regex(/^[^\0]*$/, 'has a NUL')
const name = text.transform(storedId)
const moment = z.iso.datetime({ offset: true }).regex(/^[12]/, 'is no time of a dead letter')

/** Which dead letters an operator means, whatever their state. Without a field it means all. */
export const letterFilter = z.strictObject({
  ids: z.array(id).min(1).max(MOST_CHOSEN).optional(),
  fingerprint: z
    .string()
    .regex(/^[0-9a-f]{16}$/, 'is no group of dead letters')
    .optional(),
  reason: z.enum(DEAD_LETTER_REASONS).optional(),
  environment: z.string().regex(ENVIRONMENT_NAME, 'is no environment').optional(),
  journeyId: name.optional(),
  referenceNo: name.optional(),
  /** The number of the operation that acted on them last. */
  operation: id.optional(),
  /** Of the last failure. */
  failedSince: moment.optional(),
  failedBefore: moment.optional(),
})

export type LetterFilter = z.infer<typeof letterFilter>

export function isEmptyFilter(filter: LetterFilter): boolean {
  return Object.values(filter).every((value) => value === undefined)
}

const CONDITIONS: { readonly [Field in keyof Required<LetterFilter>]: (value: string) => string } = {
  ids: (value) => `d.id = any(${value}::bigint[])`,
  fingerprint: (value) => `d.fingerprint = ${value}`,
  reason: (value) => `d.reason = ${value}`,
  environment: (value) => `d.environment = ${value}`,
  journeyId: (value) => `d.journey_id = ${value}`,
  referenceNo: (value) => `d.reference_no = ${value}`,
  operation: (value) => `d.operation_id = ${value}::bigint`,
  failedSince: (value) => `d.last_failed_at >= ${value}::timestamptz`,
  failedBefore: (value) => `d.last_failed_at < ${value}::timestamptz`,
}

/**
 * SQL about a row `d` of `dead_letters`.
 *
 * @param values of the parameters so far; those of the filter are added
 */
export function whereLetter(filter: LetterFilter, values: unknown[]): string {
  const conditions = Object.entries(CONDITIONS).flatMap(([field, condition]) => {
    const value = filter[field as keyof LetterFilter]
    return value === undefined ? [] : [condition(`$${values.push(value)}`)]
  })
  return ['true', ...conditions].join(' and ')
}
