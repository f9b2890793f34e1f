import {
  DEAD_LETTER_STATES,
  type DeadLetterState,
  describeIssues,
  inWords,
  type LetterFilter,
  letterFilter,
} from '@sluice/shared/operations'
import * as z from 'zod'
import { Problem } from './errors.ts'

const texts = z.union([z.string(), z.array(z.string())]).optional()

/** The fields of a filter in an address, which are the same for pages and API. An empty one is none. */
export const letterQuery = z.object({
  state: z.enum([...DEAD_LETTER_STATES, 'all', '']).optional(),
  ids: texts,
  fingerprint: z.string().optional(),
  reason: z.string().optional(),
  environment: z.string().optional(),
  journeyId: z.string().optional(),
  referenceNo: z.string().optional(),
  operation: z.string().optional(),
  failedSince: z.string().optional(),
  failedBefore: z.string().optional(),
})

export type LetterQuery = z.infer<typeof letterQuery>

/** A time as a browser sends it: it has no zone, and means UTC. */
const LOCAL = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$/

function withZone(text: string | undefined): string | undefined {
  if (!text || !LOCAL.test(text)) return text || undefined
  return `${text}${text.length === 16 ? ':00' : ''}Z`
}

/** @throws Problem that says what is wrong with it */
export function readFilter(query: LetterQuery): LetterFilter {
  // Checkboxes repeat the field; a link has them as one list.
  const ids = [query.ids ?? []].flat().flatMap((each) => each.split(',').filter((id) => id !== ''))
  const { failedSince, failedBefore, operation } = query
  const given = {
    ids: ids.length > 0 ? ids.map(Number) : undefined,
    fingerprint: query.fingerprint || undefined,
    reason: query.reason || undefined,
    environment: query.environment || undefined,
    journeyId: query.journeyId || undefined,
    referenceNo: query.referenceNo || undefined,
    operation: operation ? Number(operation) : undefined,
    failedSince: withZone(failedSince),
    failedBefore: withZone(failedBefore),
  }
  const named = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const read = letterFilter.safeParse(named, { error: inWords })
  if (!read.success) throw new Problem(400, `${describeIssues(read.error).join('; ')}.`)
  return read.data
}

/** @returns undefined for all states */
export function readState({ state }: LetterQuery): DeadLetterState | undefined {
  return state === 'all' ? undefined : state || 'open'
}
