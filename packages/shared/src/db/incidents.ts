import { errorCode } from '../runtime/errors.ts'
import type { Connection } from './pool.ts'
import type { incidents } from './schema.ts'

export type Incident = typeof incidents.$inferSelect

/** A condition that holds now. */
export type Condition = Pick<Incident, 'name' | 'subject' | 'text' | 'peak'> & {
  readonly severity: 'page' | 'notice'
  /** Whether people are told when it is over; true unless it says otherwise. */
  readonly recovers?: boolean
}

/** A message that this process is to send: that an incident is there, or that it is over. */
export type DueMessage = Pick<
  Incident,
  'id' | 'name' | 'subject' | 'severity' | 'text' | 'peak' | 'openedAt'
> & {
  readonly kind: 'opened' | 'recovered'
  /** People were told of it before: it came back, or is still there. */
  readonly isAgain: boolean
  readonly resolvedAt: Date | null
}

/** People are told of one incident once in so long. */
const QUIET = `interval '4 hours'`
const LATELY = `interval '1 minute'`
/** A page that comes back so soon after its end is told again only if it lasts. */
const SOON = `interval '15 minutes'`
const LASTS = `interval '5 minutes'`

// What comes back soon is the same incident, so that a condition that comes and goes is told once. What ended without a
// recovery (`expectReplicas`) does not come back.
const REOPEN = `
update incidents set resolved_at = null, opened_at = now(), last_seen_at = now(), notifying_at = null, claims = 0, text = $3
where id = (
  select id from incidents where name = $1 and subject = $2 and notified_at is not null and recovery_notified_at is distinct from resolved_at
    and resolved_at > now() - case when severity = 'page' then ${SOON} else ${QUIET} end
  order by id desc limit 1)
and not exists (select from incidents where name = $1 and subject = $2 and resolved_at is null)`

const SEE = `
insert into incidents (name, subject, severity, text, peak, recovers, opened_at, muted_until)
values ($1, $2, $3, $4, $5, $6, coalesce($7, now()),
  (select max(muted_until) from incidents where name = $1 and muted_until > now()))
on conflict (name, subject) where resolved_at is null do update set last_seen_at = now(), text = excluded.text,
  peak = greatest(incidents.peak, excluded.peak)`

/**
 * Opens the incident of a condition, or notes that it is still there. Any number of processes may say so at once.
 *
 * @param since since when it holds, if not since now
 */
export async function seeCondition(
  connection: Connection,
  condition: Condition,
  since?: Date,
): Promise<void> {
  const { name, subject, severity, text, peak, recovers = true } = condition
  try {
    await connection.query(REOPEN, [name, subject, text])
  } catch (error) {
    // Another process has opened it at the same moment.
    if (errorCode(error) !== '23505') throw error
  }
  await connection.query(SEE, [name, subject, severity, text, peak, recovers, since])
}

/** How many incidents of these names are open, told or not; without those of which none is. */
export async function countIncidents(
  connection: Connection,
  names: readonly string[],
): Promise<Record<string, number>> {
  const { rows } = await connection.query<{ name: string; count: number }>(
    `select name, count(*)::float8 as count from incidents where resolved_at is null and name = any($1) group by name`,
    [names],
  )
  return Object.fromEntries(rows.map(({ name, count }) => [name, count]))
}

// What a subject names can be gone, although not all of its kind are looked at.
const MAY_HOLD = `case
  when name in ('dead-letters', 'conflict') then exists (
    select from dead_letters where state = 'open' and fingerprint = split_part(subject, ' ', 1))
  when name = 'drift' then exists (select from drifts where acknowledged_at is null
    and concat_ws(' ', nullif(environment, ''), nullif(kind, ''), nullif(path, ''), nullif(value, '')) = subject)
  else true end`

/** Keeps told incidents open whose condition cannot be judged now. */
export async function holdIncidents(connection: Connection, names: readonly string[]): Promise<void> {
  await connection.query(
    `update incidents set last_seen_at = now()
      where resolved_at is null and notified_at is not null and name = any($1) and ${MAY_HOLD}`,
    [names],
  )
}

/** Resolves the incidents whose condition nobody has seen for so long. */
export async function resolveUnseen(connection: Connection, ms: number): Promise<void> {
  // A message that was claimed may have been sent, so it needs its recovery.
  await connection.query(
    `update incidents set resolved_at = now(), notifying_at = null, claims = 0,
        notified_at = coalesce(notified_at, case when claims > 0 then notifying_at end)
      where resolved_at is null and last_seen_at < now() - $1::float8 * interval '1 millisecond'`,
    [ms],
  )
}

// Told again: what came back and lasts, or was quiet for long; and a page that nobody has acknowledged for long.
const IS_TOLD_AGAIN = `
  (recovery_notified_at is not null and (greatest(notified_at, recovery_notified_at) < now() - ${QUIET}
    or (severity = 'page' and last_seen_at >= opened_at + ${LASTS})))
  or (recovery_notified_at is null and severity = 'page' and recovers and acknowledged_by is null
    and notified_at < now() - ${QUIET})`

// What was not seen lately may be over: somebody looks first. What nobody was told of needs no recovery.
// A process that claims a message and dies leaves it to one other process.
const CLAIM = `
update incidents i set notifying_at = now(), claims = claims + 1 from (
  select id from incidents
  where (notifying_at is null or notifying_at < now() - $2::float8 * interval '1 millisecond')
    and claims < 2
    and (muted_until is null or muted_until < now())
    and ((resolved_at is null and last_seen_at > now() - ${LATELY}
        and last_seen_at >= opened_at + $1::float8 * interval '1 millisecond'
        and (notified_at is null or ${IS_TOLD_AGAIN}))
      or (resolved_at is not null and recovers and notified_at is not null and recovery_notified_at is null))
  order by severity = 'page' desc, id limit 1 for update skip locked) due
where i.id = due.id
returning i.id::float8 as id, name, subject, severity, text, peak, opened_at as "openedAt", resolved_at as "resolvedAt",
  notified_at is not null as "isAgain", case when resolved_at is null then 'opened' else 'recovered' end as kind`

/**
 * Claims the message of one incident. Of several processes one gets it.
 *
 * @param graceMs nothing is said of an incident that was not seen for so long
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
  const told =
    kind === 'opened' ? 'notified_at = now(), recovery_notified_at = null' : 'recovery_notified_at = now()'
  await connection.query(`update incidents set ${told}, notifying_at = null, claims = 0 where id = $1`, [id])
}

/** Notes that no channel took a claimed message. It is claimed again when its claim has expired. */
export async function releaseMessage(connection: Connection, { id }: DueMessage): Promise<void> {
  await connection.query('update incidents set claims = greatest(0, claims - 1) where id = $1', [id])
}

/** Writes an incident that was told from memory while Postgres was away. The table tells when it is over. */
export async function recordTold(
  connection: Connection,
  { name, subject, severity, text, peak, recovers = true, openedAt }: Condition & { openedAt: Date },
): Promise<void> {
  await connection.query(
    `insert into incidents (name, subject, severity, text, peak, recovers, opened_at, notified_at)
      values ($1, $2, $3, $4, $5, $6, $7, $7)
      on conflict (name, subject) where resolved_at is null
      do update set notified_at = coalesce(incidents.notified_at, excluded.notified_at), last_seen_at = now(),
        opened_at = least(incidents.opened_at, excluded.opened_at), peak = greatest(incidents.peak, excluded.peak)`,
    [name, subject, severity, text, peak, recovers, openedAt],
  )
}
