import type { Operation } from '@sluice/shared/operations'
import * as z from 'zod'
import { isoOrNull, time } from './replies.ts'

export const operationReply = z.object({
  id: z.number(),
  kind: z.string(),
  state: z.string(),
  filter: z.record(z.string(), z.unknown()).nullable().describe('Null if it named an erased person.'),
  words: z.string(),
  expected: z.number(),
  sample: z.number().nullable(),
  rate: z.number().nullable(),
  stopAfter: z.number().nullable(),
  reason: z.string(),
  actor: z.string(),
  taken: z.number(),
  skipped: z.number(),
  landed: z.number(),
  failed: z.number(),
  createdAt: time,
  endedAt: time.nullable(),
})

export function toOperation(operation: Operation): z.input<typeof operationReply> {
  const { filter, createdAt, endedAt, ...rest } = operation
  return {
    ...rest,
    filter: filter ?? null,
    createdAt: createdAt.toISOString(),
    endedAt: isoOrNull(endedAt),
  }
}
