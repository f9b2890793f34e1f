import * as z from 'zod'
import { ENVIRONMENT_NAME } from '../../runtime/index.ts'

export const EVENT_VIEWS = [
  'all',
  'waiting',
  'failed',
  'duplicates',
  'unrecognised',
  'conflicts',
  'replayed',
] as const
export type EventView = (typeof EVENT_VIEWS)[number]

/** A form sends its empty fields too. */
const given = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === '' ? undefined : value), schema.optional())
const text = given(z.string().max(500, 'is longer than 500 characters'))
/** A time, UTC unless it says otherwise: `2026-11-03`, `2026-11-03T14:05`, `2026-11-03T14:05:00.000Z`. */
const time = given(
  z
    .string()
    .regex(
      /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?$/,
      'is no time such as 2026-11-03T14:05',
    )
    .transform(
      (value) =>
        new Date(/T.*(?:Z|[+-]\d\d:\d\d)$/.test(value) || !value.includes('T') ? value : `${value}Z`),
    )
    .refine((date) => !Number.isNaN(date.getTime()), 'is no time such as 2026-11-03T14:05'),
)

/** What the list of events can be asked, as the parameters of a link. */
export const eventsQuery = z.object({
  view: given(z.enum(EVENT_VIEWS, `is none of ${EVENT_VIEWS.join(', ')}`)),
  environment: given(z.string().regex(ENVIRONMENT_NAME, 'is no environment such as live')),
  kind: given(z.string().max(100, 'is longer than 100 characters')),
  decision: text,
  journey: text,
  reference: text,
  via: given(z.enum(['redis', 'inbox', 'replay'], 'is none of redis, inbox, replay')),
  duplicates: given(z.enum(['yes'], 'is not yes')),
  from: time.describe('When they landed; when a dead letter failed last; when a waiting event was received.'),
  to: time.describe('Before this time, as `from`.'),
  /** A part of the body, as JSON. */
  body: given(z.string().max(5_000, 'is longer than 5,000 characters')),
  before: given(z.string().max(200, 'is no place in this list')),
  limit: given(
    z.coerce
      .number('is no number')
      .int('is no whole number')
      .min(1, 'is less than 1')
      .max(100, 'is more than 100'),
  ),
})

export type EventsQuery = z.infer<typeof eventsQuery>

/** What only an event that has landed has: how it landed, and how often it came again. */
export const LANDED_FILTERS = ['via', 'duplicates'] as const
const LANDED_VIEWS: readonly EventView[] = ['all', 'duplicates', 'unrecognised']

export function takesLandedFilters(view: EventView = 'all'): boolean {
  return LANDED_VIEWS.includes(view)
}

/** Which filter of a query its view cannot have, in words; undefined if it can have all. */
export function inapplicableFilter(query: EventsQuery): string | undefined {
  const { view, before } = query
  if (view === 'waiting' && before !== undefined)
    return 'The view "waiting" has one page. Leave out "before".'
  const filter = takesLandedFilters(view) ? undefined : LANDED_FILTERS.find((name) => query[name])
  return (
    filter &&
    `The filter "${filter}" is about events that have landed, and those of the view "${view}" have not. Leave it out.`
  )
}

/** Whether no dead letter can be among the events of a query. */
export function hasNoLetters({ view = 'all', via, duplicates }: EventsQuery): boolean {
  return view !== 'all' || via !== undefined || duplicates !== undefined
}

/** The parameters as a link has them, without those that are not given. */
export function writeEventsQuery(query: EventsQuery): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value instanceof Date ? value.toISOString() : String(value)]],
    ),
  )
}
