import type { Stores } from '../stores.ts'
import type { EventsListed } from './events-answer.ts'
import type { EventsQuery } from './events-query.ts'
import { waitingTest } from './matches.ts'
import { readWaiting, WAITING_READ } from './waiting.ts'
import { readWanted } from './wanted.ts'

const SHOWN = 100

/** The view of what waits: one page, since its rows have no order that lasts. */
export async function listWaiting(
  stores: Pick<Stores, 'db' | 'queue'>,
  query: EventsQuery,
): Promise<EventsListed> {
  const read = await readWanted(stores.db, query)
  if (read.kind === 'refused') return read
  const { wanted } = read
  const isFiltered = !wanted || Object.values(wanted).some((value) => value !== undefined)
  const most = isFiltered ? WAITING_READ : SHOWN
  const waiting = await readWaiting(stores, most, wanted ? waitingTest(wanted) : () => false)
  const limit = query.limit ?? SHOWN
  return {
    kind: 'page',
    items: waiting.events.slice(0, limit).map((event) => ({ what: 'waiting', ...event })),
    next: null,
    top: null,
    looked: waiting.queueIsAway
      ? 'Redis does not answer, so what waits in the queue is not shown.'
      : [
          ...(waiting.isAll
            ? []
            : [`Looked through the ${most.toLocaleString('en')} that have waited longest in each place.`]),
          ...(waiting.events.length > limit ? [`Shows ${limit} of ${waiting.events.length}.`] : []),
        ].join(' ') || null,
  }
}
