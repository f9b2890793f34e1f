import type { Connection } from './pool.ts'
import type { incidents } from './schema.ts'

export type Incident = typeof incidents.$inferSelect

/** A condition that holds now. */
export type Condition = Pick<Incident, 'name' | 'subject' | 'text' | 'peak'> & { severity: 'page' | 'notice' }

/** A message that this process is to send: that an incident is there, or that it is over. */
export type DueMessage = Pick<
  Incident,
  'id' | 'name' | 'subject' | 'severity' | 'text' | 'peak' | 'openedAt'
> & {
  readonly kind: 'opened' | 'recovered'
  readonly resolvedAt: Date | null
}

/** Opens the incident of a condition, or notes that it is still there. Any number of processes may say so at once. */
export async function seeCondition(connection: Connection, condition: Condition): Promise<void> {
  const { name, subject, severity, text, peak } = condition
  await connection.query(
    `insert into incidents (name, subject, severity, text, peak) values ($1, $2, $3, $4, $5)
      on conflict (name, subject) where resolved_at is null do update set last_seen_at = now(), text = excluded.text,
        peak = greatest(incidents.peak, excluded.peak)`,
    [name, subject, severity, text, peak],
  )
}

/** Resolves the incidents whose condition nobody has seen for so long. */
export async function resolveUnseen(connection: Connection, ms: number): Promise<void> {
  await connection.query(
    `update incidents set resolved_at = now(), notifying_at = null
      where resolved_at is null and last_seen_at < now() - $1::float8 * interval '1 millisecond'`,
    [ms],
  )
}

// What nobody was told of needs no recovery. A process that claims a message and dies leaves it to another one.
const CLAIM = `
update incidents i set notifying_at = now() from (
  select id from incidents
  where (notifying_at is null or notifying_at < now() - $2::float8 * interval '1 millisecond')
    and (muted_until is null or muted_until < now())
    and ((resolved_at is null and notified_at is null and opened_at <= now() - $1::float8 * interval '1 millisecond')
      or (resolved_at is not null and notified_at is not null and recovery_notified_at is null))
  order by id limit 1 for update skip locked) due
where i.id = due.id
returning i.id::float8 as id, name, subject, severity, text, peak, opened_at as "openedAt", resolved_at as "resolvedAt",
  case when resolved_at is null then 'opened' else 'recovered' end as kind`

/**
 * Claims the message of one incident. Of several processes one gets it.
 *
 * @param graceMs nothing is said of an incident that is younger
 * @param claimMs a claim that is older and was not settled counts no more
 */
export async function claimMessage(
  connection: Connection,
  { graceMs, claimMs }: { graceMs: number; claimMs: number },
): Promise<DueMessage | undefined> {
  const { rows } = await connection.query<DueMessage>(CLAIM, [graceMs, claimMs])
  return rows[0]
}

/** Notes that a claimed message was sent. */
export async function settleMessage(connection: Connection, { id, kind }: DueMessage): Promise<void> {
  const column = kind === 'opened' ? 'notified_at' : 'recovery_notified_at'
  await connection.query(`update incidents set ${column} = now(), notifying_at = null where id = $1`, [id])
}
