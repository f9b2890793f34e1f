import { readEnclosed } from './enclosed.ts'
import type { Erased } from './erased.ts'
import type { Connection } from './pool.ts'

/** What belongs to an erased subject: the number of the erasure, which itself has no names, and the names. */
export type Remnant = {
  readonly store: string
  readonly erasure: number
  readonly environment: string
  readonly journeyId: string | null
  readonly referenceNo: string | null
}

/** A row may have an envelope. */
const PAGE = 200
type Row = Record<string, string | null> & { readonly at: string }

/** Each reads a page of a table after `$1`, in the order of `at`; `$2` are all environments. */
const TABLES: Readonly<Record<string, string>> = {
  journeys: `select environment, journey_id as "journeyId", reference_no as "referenceNo",
      environment || ' ' || journey_id as at from journeys
    where (environment, journey_id) > (split_part($1, ' ', 1), substring($1 from position(' ' in $1) + 1))
    order by environment, journey_id`,
  lost_journeys: `select environment, journey_id as "journeyId", null as "referenceNo",
      environment || ' ' || journey_id as at from lost_journeys
    where (environment, journey_id) > (split_part($1, ' ', 1), substring($1 from position(' ' in $1) + 1))
    order by environment, journey_id`,
  former_references: `select environment, journey_id as "journeyId", reference_no as "referenceNo",
      json_build_array(environment, journey_id, reference_no)::text as at from former_references
    where (environment, journey_id, reference_no) > (select coalesce(a->>0, ''), coalesce(a->>1, ''), coalesce(a->>2, '')
      from (select nullif($1, '')::json as a) as after) order by environment, journey_id, reference_no`,
  dead_letters: `select environment, journey_id as "journeyId", reference_no as "referenceNo", envelope,
      lpad(id::text, 20, '0') as at from dead_letters where id > coalesce(nullif($1, '')::bigint, 0) order by id`,
  refusals: `select environment, journey_id as "journeyId", reference_no as "referenceNo",
      encode(event_key, 'hex') as at from refusals where event_key > decode($1, 'hex') order by event_key`,
  inbox: `select null as environment, null as "journeyId", null as "referenceNo", envelope, job_id as at from inbox
    where job_id > $1 order by job_id`,
  operations: `select env as environment, filter->>'journeyId' as "journeyId", filter->>'referenceNo' as "referenceNo",
      lpad(id::text, 20, '0') || env as at
    from operations, unnest(case when filter ? 'environment' then array[filter->>'environment']
      else $2::text[] end) as env
    where filter ?| '{journeyId,referenceNo}' and lpad(id::text, 20, '0') || env > $1 order by at`,
}

/**
 * Looks through the tables for what belongs to an erased subject, without knowing its name: each name that is stored is
 * hashed. Events of journeys are found by the rows of these; bodies that cannot be read are not looked into.
 */
export async function* findRemnants(
  connection: Connection,
  erased: Erased,
  environments: readonly string[],
): AsyncGenerator<Remnant> {
  if (erased.size === 0) return
  for (const [store, sql] of Object.entries(TABLES)) {
    for (let after = ''; ; ) {
      const values = sql.includes('$2') ? [after, environments] : [after]
      const { rows } = await connection.query<Row>(`${sql} limit ${PAGE}`, values)
      for (const row of rows) yield* remnantsOf(store, row, erased)
      if (rows.length < PAGE) break
      after = rows.at(-1)?.at as string
    }
  }
  yield* eventsWithoutJourney(connection, erased)
}

function* remnantsOf(
  store: string,
  { environment, envelope, journeyId = null, referenceNo = null }: Row,
  erased: Erased,
): Generator<Remnant> {
  const names = { journeyId, referenceNo }
  if (environment) yield* remnantOf(store, environment, { ...names, details: null }, erased)
  const enclosed = envelope ? readEnclosed(envelope) : undefined
  if (enclosed) yield* remnantOf(store, enclosed.environment, enclosed.event, erased)
}

/** The remnant that an event is, if it is one. */
export function* remnantOf(
  store: string,
  environment: string,
  event: Parameters<Erased['of']>[1],
  erased: Erased,
): Generator<Remnant> {
  const erasure = erased.of(environment, event)
  if (erasure === undefined) return
  const journeyId = event.journeyId ?? event.details?.spotCheckJourneyId ?? null
  yield { store, erasure, environment, journeyId, referenceNo: event.referenceNo }
}

const WITHOUT_JOURNEY = `select distinct environment, reference_no as "referenceNo",
    details->>'spotCheckJourneyId' as "spotCheckJourneyId" from events
  where journey_id is null and reference_no is not null`

async function* eventsWithoutJourney(connection: Connection, erased: Erased): AsyncGenerator<Remnant> {
  const { rows } = await connection.query(WITHOUT_JOURNEY)
  for (const { environment, referenceNo, spotCheckJourneyId: id } of rows) {
    const details = id === null ? null : { spotCheckJourneyId: id }
    yield* remnantOf('events', environment, { journeyId: null, referenceNo, details }, erased)
  }
}
