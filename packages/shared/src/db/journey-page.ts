import { and, eq } from 'drizzle-orm'
import { SLICE } from './events-page.ts'
import { JOURNEY_SHOWN, type StoredJourney } from './journey-queries.ts'
import type { JourneyName } from './journey-rows.ts'
import type { Db } from './pool.ts'
import { HAS_COME } from './refusals.ts'
import { journeys } from './schema.ts'
import {
  JOURNEY,
  type JourneySummary,
  LETTER_SUMMARY,
  type LetterSummary,
  REFUSALS_READ,
  REFUSED,
  type RefusedEvent,
} from './search-others.ts'

export async function readJourney({ query }: Db, name: JourneyName): Promise<StoredJourney | undefined> {
  const [journey] = await query
    .select(JOURNEY_SHOWN)
    .from(journeys)
    .where(and(eq(journeys.environment, name.environment), eq(journeys.journeyId, name.journeyId)))
  return journey
}

const MOST = 50

/** The other journeys of a reference number, the last active ones first, at most 50. */
export async function readJourneysBeside(
  { pool }: Db,
  { environment, journeyId, referenceNo }: JourneyName & { readonly referenceNo: string | null },
): Promise<JourneySummary[]> {
  if (referenceNo === null) return []
  const { rows } = await pool.query<JourneySummary>(
    `select ${JOURNEY} from (select * from journeys where reference_no = $1 limit 1000) as j
      where (j.environment, j.journey_id) <> ($2, $3) order by j.last_event_at desc limit ${MOST}`,
    [referenceNo, environment, journeyId],
  )
  return rows
}

/** The dead letters of a journey, newest first, at most 50. */
export async function readLettersOfJourney(
  { pool }: Db,
  { environment, journeyId }: JourneyName,
): Promise<LetterSummary[]> {
  const { rows } = await pool.query<LetterSummary>(
    `select ${LETTER_SUMMARY} from dead_letters d where journey_id = $1 and environment = $2 order by id desc limit ${MOST}`,
    [journeyId, environment],
  )
  return rows
}

/** What was refused of a journey and has not come again, as far as the last 5,000 refusals show. */
export async function readRefusalsOfJourney(
  { pool }: Db,
  { environment, journeyId }: JourneyName,
): Promise<RefusedEvent[]> {
  const { rows } = await pool.query<RefusedEvent>(
    `select ${REFUSED} from ${REFUSALS_READ} as f where f.journey_id = $1 and f.environment = $2 and not ${HAS_COME}
      order by f.last_refused_at desc limit ${MOST}`,
    [journeyId, environment],
  )
  return rows
}

/** How long something usually takes, in ms. */
export type UsualGap = { readonly median: number; readonly p95: number; readonly journeys: number }

/** The figures of fewer journeys say nothing. */
const ENOUGH = 20

/**
 * How long it took from one kind of event to another in the same journey, among the last 20,000 events; null if too few
 * journeys had both.
 */
export async function readUsualGap({ pool }: Db, from: string, to: string): Promise<UsualGap | null> {
  const { rows } = await pool.query<{ gaps: number[] | null; journeys: number }>(
    `select percentile_disc(array[0.5, 0.95]) within group (order by gap) as gaps, count(*)::int as journeys from (
      select (extract(epoch from min(received_at) filter (where kind = $2) - min(received_at) filter (where kind = $1)) * 1000)::float8 as gap
      from (select * from events where processed_at <= now() order by processed_at desc, n desc limit ${SLICE}) as e
      where kind in ($1, $2) and journey_id is not null group by environment, journey_id) as journeys where gap >= 0`,
    [from, to],
  )
  const [{ gaps, journeys } = { gaps: null, journeys: 0 }] = rows
  const [median, p95] = gaps ?? []
  if (median === undefined || p95 === undefined || journeys < ENOUGH) return null
  return { median, p95, journeys }
}
