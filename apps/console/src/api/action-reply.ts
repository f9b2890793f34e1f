import * as z from 'zod'
import { time } from './replies.ts'

/** An act of a person. */
export const actionReply = z.object({
  id: z.number(),
  at: time,
  actor: z.string(),
  action: z.string(),
  target: z.string(),
  reason: z.string().nullable(),
  operationId: z.number().nullable(),
  operation: z.object({ kind: z.string(), words: z.string(), expected: z.number() }).nullable(),
})
