import {
  countNewer,
  eventsQuery,
  knownEnvironments,
  listEvents,
  NEWER_COUNTED,
  readEventPage,
  writeEventsQuery,
} from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { eventPage } from '../pages/event.ts'
import { eventsPage, newerRegion } from '../pages/events.ts'
import { mayAct } from '../roles.ts'
import { sendBytes, sendPage, sendReceipt } from './reply.ts'

const NO_BYTES = 'The bytes of this event are not stored: it was refused, or is gone.'

const params = z.object({ key: z.string() })
const liveQuery = eventsQuery.extend({ top: z.string().max(200) })

export function addEvents(app: App, { stores, live }: ConsoleDeps): void {
  app.get('/events', { schema: { hide: true, querystring: eventsQuery } }, async (request, reply) => {
    const [list, environments] = await Promise.all([
      listEvents(stores, request.query),
      knownEnvironments(stores),
    ])
    if (list.kind === 'refused') throw new Problem(400, list.words)
    return sendPage(request, reply, { title: 'Events', body: eventsPage(request.query, list, environments) })
  })

  app.get('/live/events', { schema: { hide: true, querystring: liveQuery } }, async (request, reply) => {
    const { top, ...query } = request.query
    // While Postgres is away, the stream says so.
    if ((await countNewer(stores, query, top).catch(() => 0)) === undefined)
      throw new Problem(400, 'The parameter "top" is no place in this list.')
    const region = async () => newerRegion(query, (await countNewer(stores, query, top)) ?? 0, NEWER_COUNTED)
    const topic = `events ${new URLSearchParams({ ...writeEventsQuery(query), top })}`
    live.stream(topic, region, reply)
    return reply
  })

  app.get('/events/:key', { schema: { hide: true, params } }, async (request, reply) => {
    const body = eventPage(await eventOf(request.params.key), { mayAct: mayAct(request) })
    return sendPage(request, reply, { title: 'Event', body, part: { id: 'detail', body } })
  })

  app.get('/events/:key/raw', { schema: { hide: true, params } }, async (request, reply) => {
    const { body, eventKey } = await eventOf(request.params.key)
    if (!body) throw new Problem(404, NO_BYTES)
    return sendBytes(reply, `event-${eventKey.slice(0, 16)}`, body.raw)
  })

  app.get('/events/:key/receipt', { schema: { hide: true, params } }, async (request, reply) => {
    const { received } = await eventOf(request.params.key)
    if (!received) throw new Problem(404, NO_BYTES)
    return sendReceipt(reply, received)
  })

  async function eventOf(key: string) {
    const read = await readEventPage(stores, key)
    if (read.kind === 'no_key')
      throw new Problem(400, 'An event key has 64 hex digits. Search for other ids.')
    if (read.kind === 'not_here') throw new Problem(404, 'No event with this key has been received.')
    return read
  }
}
