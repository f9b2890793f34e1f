import { eventsQuery, listEvents, readEventPage, writeEventsQuery } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { query } from '../parts/states.ts'
import {
  changeSchema,
  eventSchema,
  failuresSchema,
  goneSchema,
  hitSchema,
  letterSchema,
  refusedSchema,
  toJson,
  waitingSchema,
} from './json.ts'

const list = z.object({
  items: z.array(hitSchema),
  next: z.string().nullable(),
  /** How far was looked, in words; null if all was looked at. */
  looked: z.string().nullable(),
})
const text = z.string().nullable()
const one = z.object({
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

export function addEventsApi(api: App, { stores }: ConsoleDeps): void {
  api.get(
    '/events',
    {
      schema: { summary: 'Events, the last landed first', querystring: eventsQuery, response: { 200: list } },
    },
    async ({ query: asked }) => {
      const listed = await listEvents(stores, asked)
      if (listed.kind === 'refused') throw new Problem(400, listed.words)
      const { items, next, looked } = listed
      const path = next && `/api/v1/events${query({ ...writeEventsQuery(asked), before: next })}`
      return { items: toJson(items), next: path, looked }
    },
  )

  const params = z.object({ key: z.string() })
  api.get(
    '/events/:key',
    { schema: { summary: 'One event, with its bytes in base64', params, response: { 200: one } } },
    async (request) => {
      const read = await readEventPage(stores, request.params.key)
      if (read.kind === 'no_key') throw new Problem(400, 'An event key has 64 hex digits.')
      if (read.kind === 'not_here') throw new Problem(404, 'No event with this key has been received.')
      const { event, body, received: _, ...page } = read
      const hash = event?.bodySha256.toString('hex')
      return {
        ...toJson(page),
        event: event && { ...toJson(event), bodySha256: hash as string },
        raw: body?.raw.toString('base64') ?? null,
        sha256: body?.sha256 ?? null,
        curl: body?.curl ?? null,
      }
    },
  )
}
