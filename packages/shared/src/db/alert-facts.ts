import type { Connection } from './pool.ts'
import { STANDBYS } from './standbys.ts'

/** What alerts ask of Postgres beside the state. */
export type AlertFacts = {
  /** Connected standbys that can take over. */
  readonly standbys: number
  /** The folder of the data, if the server says that it is on this machine. */
  readonly folder: string | null
  /** Events of erased journeys and reference numbers that came in the last quarter of an hour, at least. */
  readonly lateSubjects: number
}

// A role without rights does not see where the data is. Over a loopback address the server is on this machine.
const ASK = `select
  (select count(*)::int ${STANDBYS}) as standbys,
  (select setting from pg_settings where name = 'data_directory'
    and coalesce(inet_server_addr() << '127.0.0.0/8' or inet_server_addr() = '::1', true)) as folder,
  (select count(*)::int from erasures where last_late_at > now() - interval '15 minutes') as "lateSubjects"`

export async function readAlertFacts(connection: Connection): Promise<AlertFacts> {
  return (await connection.query<AlertFacts>(ASK)).rows[0] as AlertFacts
}
