import { eventsQuery, listEvents, readEventPage, writeEventsQuery } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { query } from '../parts/states.ts'
import { eventReply, toEventReply } from './event-reply.ts'
import { hitSchema, toJson } from './json.ts'

const list = z.object({
  items: z.array(hitSchema),
  next: z.string().nullable(),
  /** How far was looked, in words; null if all was looked at. */
  looked: z.string().nullable(),
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
    { schema: { summary: 'One event, with its bytes in base64', params, response: { 200: eventReply } } },
    async (request) => {
      const read = await readEventPage(stores, request.params.key)
      if (read.kind === 'no_key') throw new Problem(400, 'An event key has 64 hex digits.')
      if (read.kind === 'not_here') throw new Problem(404, 'No event with this key has been received.')
      return toEventReply(read)
    },
  )
}
