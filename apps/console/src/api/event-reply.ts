import type { EventPage } from '@sluice/shared/operations'
import * as z from 'zod'
import {
  changeSchema,
  eventSchema,
  failuresSchema,
  goneSchema,
  letterSchema,
  refusedSchema,
  toJson,
  waitingSchema,
} from './json.ts'

const text = z.string().nullable()
export const eventReply = z.object({
  eventKey: z.string(),
  /** Null if it has not landed, or is not stored any more. */
  event: eventSchema
    .extend({ details: z.unknown(), request: z.unknown(), bodySha256: z.string(), raw: z.string() })
    .nullable(),
  gone: goneSchema.nullable(),
  waiting: waitingSchema.nullable(),
  refusal: refusedSchema.nullable(),
  letters: z.array(letterSchema.extend({ failures: failuresSchema })),
  timeline: z.array(
    z.object({
      what: z.string(),
      at: text,
      words: z.string(),
      sinceMs: z.number().nullable(),
      letter: z.number().nullable(),
    }),
  ),
  previous: z
    .object({
      eventKey: z.string(),
      event: text,
      receivedAt: z.string(),
      changes: z.array(changeSchema).nullable(),
    })
    .nullable(),
  raw: text.describe('The body as base64, also of an event that waits or is a dead letter.'),
  sha256: text.describe('Of the body, hex.'),
  curl: text,
})

/** One event, as the API and `sluice event --json` answer it. */
export function toEventReply(page: EventPage): z.infer<typeof eventReply> {
  const { event, body, received: _, ...rest } = page
  return eventReply.parse({
    ...toJson(rest),
    event: event && { ...toJson(event), bodySha256: event.bodySha256.toString('hex') },
    raw: body?.raw.toString('base64') ?? null,
    sha256: body?.sha256 ?? null,
    curl: body?.curl ?? null,
  })
}
