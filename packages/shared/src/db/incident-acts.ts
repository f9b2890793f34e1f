import { SEEN } from './expected-replicas.ts'
import type { Incident } from './incidents.ts'
import { recordAction } from './operator-actions.ts'
import type { Connection, Db } from './pool.ts'

/** An incident as people see it. */
export type ShownIncident = Pick<
  Incident,
  | 'id'
  | 'name'
  | 'subject'
  | 'severity'
  | 'text'
  | 'openedAt'
  | 'notifiedAt'
  | 'resolvedAt'
  | 'acknowledgedBy'
  | 'mutedUntil'
>

/** The subject of a row that only keeps how long a name is muted. */
const MUTE = '(muted)'

/** The open ones, the gravest and oldest first; with `all` also those that are over, the newest first. */
export async function listIncidents(
  connection: Connection,
  { all = false, limit = 100 }: { all?: boolean; limit?: number } = {},
): Promise<ShownIncident[]> {
  const { rows } = await connection.query<ShownIncident>(
    `select id::float8 as id, name, subject, severity, text, opened_at as "openedAt", notified_at as "notifiedAt",
        resolved_at as "resolvedAt", acknowledged_by as "acknowledgedBy", muted_until as "mutedUntil"
      from incidents where subject not in ('${MUTE}', '${SEEN}') and (resolved_at is null or $1)
      order by resolved_at desc nulls first, severity = 'page' desc, id limit $2`,
    [all, limit],
  )
  return rows
}

/** @returns whether there is such an open incident */
export function acknowledgeIncident(
  db: Db,
  { id, actor, reason }: { id: number; actor: string; reason?: string | undefined },
): Promise<boolean> {
  return db.transaction(async (connection) => {
    const { rowCount } = await connection.query(
      'update incidents set acknowledged_by = $2, acknowledged_at = now() where id = $1 and resolved_at is null',
      [id, actor],
    )
    if (rowCount !== 1) return false
    await recordAction(connection, { actor, action: 'acknowledge', target: `incident ${id}`, reason })
    return true
  })
}

/**
 * Holds back the messages of a name, also those of incidents that open meanwhile. It replaces what was said before.
 *
 * @param options.ms for how long; 0 ends it
 * @returns until when
 */
export function muteIncidents(
  db: Db,
  { name, ms, actor, reason }: { name: string; ms: number; actor: string; reason?: string | undefined },
): Promise<Date> {
  return db.transaction(async (connection) => {
    const { rows } = await connection.query<{ until: Date }>(
      `with muted as (
        update incidents set muted_until = now() + $2::float8 * interval '1 millisecond'
          where name = $1 and (resolved_at is null or muted_until > now()))
      insert into incidents (name, subject, severity, text, resolved_at, muted_until)
      values ($1, '${MUTE}', 'notice', 'Muted.', now(), now() + $2::float8 * interval '1 millisecond')
      returning muted_until as until`,
      [name, ms],
    )
    const { until } = rows[0] as { until: Date }
    await recordAction(connection, {
      actor,
      action: ms > 0 ? 'mute' : 'unmute',
      target: `alert ${name}`,
      reason,
    })
    return until
  })
}
