import type { Subject } from './erased.ts'
import { type JourneyName, nameOf } from './journey-rows.ts'
import type { Connection } from './pool.ts'

/** A journey, or a reference number of journeys and spot checks, in one environment or in all. */
export type Sought = Pick<Subject, 'kind' | 'name'> & { readonly environment?: string | undefined }

/** A journey that is stored, or of which something is. */
export type ErasableJourney = JourneyName & {
  readonly referenceNo: string | null
  readonly events: number
  readonly firstEventAt: Date | null
  readonly lastEventAt: Date | null
}

const IN_ENVIRONMENT = '($2::text is null or environment = $2)'
const ROW = `select environment, journey_id as "journeyId", reference_no as "referenceNo", events,
  first_event_at as "firstEventAt", last_event_at as "lastEventAt" from journeys j`
const WITHOUT_ROW = `select environment, journey_id as "journeyId", null as "referenceNo", 0 as events,
  null as "firstEventAt", null as "lastEventAt"`

const BY_ID = `${ROW} where journey_id = $1 and ${IN_ENVIRONMENT}
  union all (${WITHOUT_ROW} from (
    select environment, journey_id from lost_journeys union select environment, journey_id from dead_letters
    union select environment, journey_id from refusals where journey_id = $1
    union select environment, journey_id from events where journey_id = $1) as known
  where journey_id = $1 and environment is not null and ${IN_ENVIRONMENT}
    and (environment, journey_id) not in (select environment, journey_id from journeys where journey_id = $1))`

// A journey can have had several reference numbers. Its row has one of them; all are in the digest, and in the base if
// events were dropped. A journey without digest has too many events for one.
const BY_REFERENCE = `${ROW} where ${IN_ENVIRONMENT} and (reference_no = $1
    or base @> jsonb_build_array(jsonb_build_object('referenceNo', $1::text))
    or ((digest is null or position($3 in digest) > 0) and exists (select from events e
      where e.journey_id = j.journey_id and e.environment = j.environment and e.reference_no = $1)))
  union all (${WITHOUT_ROW} from (
    select environment, journey_id from dead_letters where reference_no = $1
    union select environment, journey_id from refusals where reference_no = $1
    union select l.environment, l.journey_id from lost_journeys l join events e using (environment, journey_id)
      where e.reference_no = $1) as known
  where journey_id is not null and environment is not null and ${IN_ENVIRONMENT}
    and not exists (select from journeys j where j.environment = known.environment and j.journey_id = known.journey_id))`

/** The journeys that are erased together with what is sought. */
export async function findErasable(
  connection: Connection,
  { kind, name, environment }: Sought,
): Promise<ErasableJourney[]> {
  const values = [name, environment ?? null]
  const { rows } = await connection.query<ErasableJourney>(
    kind === 'journey' ? BY_ID : BY_REFERENCE,
    kind === 'journey' ? values : [...values, JSON.stringify(name).slice(1, -1)],
  )
  const distinct = new Map(rows.map((row) => [nameOf(row), row]))
  return [...distinct.values()].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
}
