import {
  type Db,
  type EventFilters,
  type EventSource,
  findIdsOfReference,
  keysOfId,
  readEnvironments,
} from '../../db/index.ts'
import { storedId } from '../../idwise/index.ts'
import type { Stores } from '../stores.ts'
import type { Refused } from './events-answer.ts'
import type { EventsQuery } from './events-query.ts'
import { readFragment } from './fragment.ts'

/** What is looked for in every view: what an event has, wherever it is. */
export type Wanted = Omit<EventFilters, 'via' | 'hasDuplicates'> & { readonly eventId?: string | undefined }

/** `wanted` is null if two filters name different things, so that nothing has both. */
export type WantedRead = { readonly kind: 'wanted'; readonly wanted: Wanted | null }

export async function readWanted(db: Db, query: EventsQuery): Promise<WantedRead | Refused> {
  const fragment = query.body === undefined ? {} : readFragment(query.body)
  if (!fragment) {
    return {
      kind: 'refused',
      words: 'The parameter "body" is no JSON object such as {"referenceNo":"A-1"}.',
    }
  }
  const { journeyId, referenceNo, kind: kindIn, ...rest } = fragment
  const ofView = query.view === 'unrecognised' ? 'unrecognised' : undefined
  const journeys = distinct([query.journey && storedId(query.journey), journeyId])
  const kinds = distinct([query.kind, kindIn, ofView])
  if (journeys.length > 1 || kinds.length > 1) return { kind: 'wanted', wanted: null }
  const asked = query.reference === undefined ? referenceNo : storedId(query.reference)
  const ofReference =
    asked === undefined ? undefined : { referenceNo: asked, journeys: await findIdsOfReference(db, asked) }
  const { environment, decision, from, to } = query
  const [journey] = journeys
  const [kind] = kinds
  const wanted = { ...rest, environment, decision, from, to, journey, kind, ofReference, referenceNo }
  return { kind: 'wanted', wanted }
}

function distinct(values: readonly (string | undefined)[]): string[] {
  return [...new Set(values.filter((value) => value !== undefined))]
}

export type AskedEvents = {
  readonly kind: 'asked'
  readonly source: EventSource
  readonly filters: EventFilters
}

/** Finds the index that answers a query about stored events, and leaves the rest of it as filters. */
export async function readQuery(
  { db }: Pick<Stores, 'db'>,
  query: EventsQuery,
): Promise<AskedEvents | Refused> {
  const read = await readWanted(db, query)
  return read.kind === 'refused' ? read : askEvents(db, read.wanted, query)
}

export async function askEvents(
  db: Db,
  wanted: Wanted | null,
  { via, duplicates, view }: EventsQuery,
): Promise<AskedEvents> {
  if (!wanted) return { kind: 'asked', source: { from: 'nothing' }, filters: {} }
  const { eventId, journey, ofReference, ...columns } = wanted
  const filters = { ...columns, via, hasDuplicates: duplicates === 'yes' || view === 'duplicates' }
  if (eventId !== undefined) {
    const keys = keysOfId(eventId, await readEnvironments(db))
    const source = { from: 'id', eventId, keys } as const
    return { kind: 'asked', source, filters: { ...filters, journey, ofReference } }
  }
  if (journey !== undefined) {
    const source = { from: 'journeys', ids: [journey], referenceNo: null } as const
    return { kind: 'asked', source, filters: { ...filters, ofReference } }
  }
  if (ofReference !== undefined) {
    const { journeys: ids, referenceNo } = ofReference
    return { kind: 'asked', source: { from: 'journeys', ids, referenceNo }, filters }
  }
  const from = filters.kind === 'unrecognised' ? 'unrecognised' : 'time'
  return { kind: 'asked', source: { from }, filters }
}
