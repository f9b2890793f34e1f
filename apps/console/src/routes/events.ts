import {
  countDeadLetters,
  countNewer,
  type EventsPage,
  type EventsQuery,
  type EventView,
  eventsQuery,
  knownEnvironments,
  type LetterFilter,
  listEvents,
  NEWER_COUNTED,
  readEventPage,
  writeEventsQuery,
} from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { readFilter } from '../letter-query.ts'
import { eventPage } from '../pages/event.ts'
import { eventsPage } from '../pages/events.ts'
import { newer } from '../parts/newer.ts'
import { query } from '../parts/states.ts'
import { tryLine } from '../parts/try-line.ts'
import { mayAct } from '../roles.ts'
import { sendBytes, sendPage, sendReceipt } from './reply.ts'

const NO_BYTES = 'The bytes of this event are not stored: it was refused, or is gone.'

const params = z.object({ key: z.string() })
const pageQuery = eventsQuery.extend({ live: z.enum(['off', '']).optional() })
const liveQuery = eventsQuery.extend({ top: z.string().max(200) })

/** The views that list dead letters, the newest first, of which newer ones are told. */
const LETTERS: Partial<Record<EventView, { readonly state?: 'open'; readonly filter?: LetterFilter }>> = {
  failed: { state: 'open' },
  conflicts: { filter: { reason: 'conflict' } },
}
const NONE = 'none'

/** Filters that cannot be counted by an index. */
const READ = ['decision', 'kind', 'body', 'from', 'to'] as const

/** The place from which newer ones of a list are counted; null if that would take reading them. */
function topOf(asked: EventsQuery, { items, top }: EventsPage): string | null {
  const { view = 'all', before } = asked
  const [first] = items
  if (before !== undefined || view === 'waiting' || view === 'replayed') return null
  const isRead = READ.some((name) => asked[name] !== undefined)
  if (LETTERS[view]) return isRead ? null : String(first?.what === 'dead_letter' ? first.id : 0)
  return top ?? (first || isRead ? null : NONE)
}

export function addEvents(app: App, { stores, live, config, ingestUrl }: ConsoleDeps): void {
  app.get('/events', { schema: { hide: true, querystring: pageQuery } }, async (request, reply) => {
    const { live: asked, ...query } = request.query
    const [list, environments] = await Promise.all([listEvents(stores, query), knownEnvironments(stores)])
    if (list.kind === 'refused') throw new Problem(400, list.words)
    const shown = {
      list,
      environments,
      top: topOf(query, list),
      isLive: asked !== 'off',
      tryLine: tryLine(config.sources, ingestUrl),
    }
    return sendPage(request, reply, { title: 'Events', body: eventsPage(query, shown) })
  })

  app.get('/live/events', { schema: { hide: true, querystring: liveQuery } }, async (request, reply) => {
    const { top, ...asked } = request.query
    // While Postgres is away, the stream says so.
    if ((await newerThan(asked, top).catch(() => 0)) === undefined)
      throw new Problem(400, 'The parameter "top" is no place in this list.')
    const href = `/events${query(writeEventsQuery(asked))}`
    const topic = `events ${new URLSearchParams({ ...writeEventsQuery(asked), top })}`
    live.stream(topic, async () => newer((await newerThan(asked, top)) ?? 0, href), reply)
    return reply
  })

  /** How many of the list are newer than its place `top`, at most 100; undefined: that is no place. */
  async function newerThan(asked: EventsQuery, top: string): Promise<number | undefined> {
    const letters = LETTERS[asked.view ?? 'all']
    const isRead = READ.some((name) => asked[name] !== undefined)
    if (isRead && (letters || top === NONE)) return undefined
    if (letters) {
      if (!/^\d{1,15}$/.test(top)) return undefined
      const { environment, journey: journeyId, reference: referenceNo } = asked
      const filter = { ...readFilter({ environment, journeyId, referenceNo }), ...letters.filter }
      return (await countDeadLetters(stores.db, { ...letters, filter, after: Number(top) }, NEWER_COUNTED))
        .count
    }
    if (top !== NONE) return countNewer(stores, asked, top)
    const list = await listEvents(stores, { ...asked, limit: NEWER_COUNTED })
    return list.kind === 'page' ? list.items.length : undefined
  }

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
