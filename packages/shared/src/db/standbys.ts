import type { Connection } from './pool.ts'

/**
 * SQL: the rows of `pg_stat_replication` that can take over. Subscribers to single tables cannot, nor can a running
 * backup. A role without rights sees the other columns as null, but it sees every row.
 */
export const STANDBYS = `from pg_stat_replication where state is distinct from 'backup'
  and (coalesce(application_name, '') not in ('pg_receivewal', 'pg_basebackup') or sync_state in ('sync', 'quorum'))
  and pid not in (
  select active_pid from pg_replication_slots where slot_type = 'logical' and active_pid is not null)`

/** Connected standbys by how they follow. `unknown`: the role may not see it. */
export type Standbys = Readonly<Record<'synchronous' | 'asynchronous' | 'unknown', number>>

export async function readStandbys(connection: Connection): Promise<Standbys> {
  const { rows } = await connection.query<Standbys>(
    `select count(*) filter (where sync_state in ('sync', 'quorum'))::int as synchronous,
      count(*) filter (where sync_state not in ('sync', 'quorum'))::int as asynchronous,
      count(*) filter (where sync_state is null)::int as unknown ${STANDBYS}`,
  )
  return rows[0] ?? { synchronous: 0, asynchronous: 0, unknown: 0 }
}
