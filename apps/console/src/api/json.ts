import * as z from 'zod'
import { time } from './replies.ts'

/** What JSON makes of a value. */
export type Json<T> = T extends Date
  ? string
  : T extends Buffer
    ? string
    : T extends readonly (infer Item)[]
      ? Json<Item>[]
      : T extends object
        ? { -readonly [Key in keyof T]: Json<T[Key]> }
        : T

/** Times become ISO strings, bytes base64. */
export function toJson<T>(value: T): Json<T> {
  return JSON.parse(
    JSON.stringify(value, (_key, inner) =>
      isBytes(inner) ? Buffer.from(inner.data).toString('base64') : inner,
    ),
  )
}

function isBytes(value: unknown): value is { type: 'Buffer'; data: number[] } {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as { type?: unknown }).type === 'Buffer' &&
    Array.isArray((value as { data?: unknown }).data)
  )
}

const text = z.string().nullable()
const names = { environment: z.string(), event: text, eventId: text, journeyId: text, referenceNo: text }

export const eventSchema = z.object({
  eventKey: z.string(),
  ...names,
  kind: z.string(),
  systemDecision: text,
  manualDecision: text,
  finalDecision: text,
  receivedAt: time,
  processedAt: time,
  duplicates: z.int(),
  via: z.string(),
})

export const journeySchema = z.object({
  environment: z.string(),
  journeyId: z.string(),
  referenceNo: text,
  stage: z.string(),
  systemDecision: text,
  finalDecision: text,
  events: z.int(),
  lastEventAt: time,
})

export const letterSchema = z.object({
  id: z.int(),
  jobId: z.string(),
  eventKey: text,
  ...names,
  environment: text,
  reason: z.string(),
  errorMessage: z.string(),
  state: z.string(),
  attempts: z.int(),
  replays: z.int(),
  receivedAt: time.nullable(),
  firstFailedAt: time,
  lastFailedAt: time,
})

export const failuresSchema = z
  .array(z.object({ failedAt: time, reason: z.string(), errorClass: z.string(), errorMessage: z.string() }))
  .describe('The newest first, at most ten.')

export const changeSchema = z.object({ path: z.string(), before: text, after: text })

export const refusedSchema = z.object({
  eventKey: z.string(),
  ...names,
  firstRefusedAt: time,
  lastRefusedAt: time,
  deliveries: z.int(),
})

export const waitingSchema = z.object({
  where: z.enum(['inbox', 'queue']),
  jobId: z.string(),
  eventKey: text,
  ...names,
  environment: text,
  receivedAt: time.nullable(),
  attempts: z.int(),
  lastError: text,
})

export const goneSchema = z.object({
  eventKey: z.string(),
  landedAt: time,
  because: z.enum(['dropped', 'erased', 'missing']),
})

/** One thing that is found, in any state. */
export const hitSchema = z.discriminatedUnion('what', [
  eventSchema.extend({ what: z.literal('event') }),
  journeySchema.extend({ what: z.literal('journey') }),
  waitingSchema.extend({ what: z.literal('waiting') }),
  letterSchema.extend({ what: z.literal('dead_letter') }),
  refusedSchema.extend({ what: z.literal('refused') }),
  goneSchema.extend({ what: z.literal('gone') }),
])
