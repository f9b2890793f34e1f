import * as z from 'zod'
import { recordAction } from './operator-actions.ts'
import type { Connection, Db } from './pool.ts'

/** For how many days something is kept; null keeps it for ever. */
const days = z.number().int().positive().nullable()
const termsSchema = z.object({
  events: days,
  /** The keys, by which an event that comes again is known. */
  keys: days,
  /** Dead letters that are resolved or discarded. */
  deadLetters: days,
  /** Events are written to files before they are dropped. */
  archive: z.boolean(),
})
/** What is kept for how long. */
export type Terms = z.output<typeof termsSchema>

/** The row of `retention`. */
export type RetentionState = {
  readonly droppedBefore: Date | null
  readonly keysBefore: Date | null
  /** What the last run with other terms has announced. */
  readonly announced: Terms | null
  readonly announcedAt: Date | null
  readonly accepted: Terms | null
  readonly acceptedAt: Date | null
  readonly acceptedBy: string | null
  /** Postgres' clock. */
  readonly now: Date
}

const READ = `select dropped_before as "droppedBefore", keys_before as "keysBefore", announced,
  announced_at as "announcedAt", accepted, accepted_at as "acceptedAt", accepted_by as "acceptedBy", now() as now
  from retention`

export async function readRetention(connection: Connection, locked = false): Promise<RetentionState> {
  const { rows } = await connection.query(`${READ}${locked ? ' for update' : ''}`)
  const { announced, accepted, ...others } = rows[0]
  return {
    ...others,
    announced: termsSchema.nullable().parse(announced),
    accepted: termsSchema.nullable().parse(accepted),
  }
}

/**
 * Announces terms that the last run did not have, and finds what may be acted on: what an operator has accepted, or
 * terms that keep longer. A longer term replaces the accepted one, so that going back must be accepted anew.
 *
 * @returns for how long everything is kept by now, and whether the terms were announced by this call
 */
export async function settleTerms(db: Db, terms: Terms): Promise<{ allowed: Terms; isNew: boolean }> {
  return db.transaction(async (connection) => {
    const { announced, accepted } = await readRetention(connection, true)
    const isNew = announced === null || !isSame(announced, terms)
    const longest = accepted && longestOf(terms, accepted)
    await connection.query(
      `update retention set announced = $1::jsonb, announced_at = case when $2 then now() else announced_at end,
        accepted = $3::jsonb where announced is distinct from $1::jsonb or accepted is distinct from $3::jsonb`,
      [JSON.stringify(terms), isNew, longest && JSON.stringify(longest)],
    )
    return { allowed: longest ? allowedOf(terms, longest) : FOR_EVER, isNew }
  })
}

/** Whether an operator still has to accept the announced terms, or one of them. */
export function mustBeAccepted({ announced, accepted }: RetentionState): boolean {
  if (!announced) return false
  return !accepted || !isSame(allowedOf(announced, longestOf(announced, accepted)), announced)
}

/**
 * Accepts the terms that were announced last, and records who did.
 *
 * @returns null if none are announced
 */
export async function acceptTerms(
  db: Db,
  { actor, reason }: { actor: string; reason?: string | undefined },
): Promise<Terms | null> {
  return db.transaction(async (connection) => {
    const { announced } = await readRetention(connection, true)
    if (!announced) return null
    await connection.query(
      'update retention set accepted = announced, accepted_at = now(), accepted_by = $1',
      [actor],
    )
    await recordAction(connection, {
      actor,
      action: 'accept_retention',
      target: describeTerms(announced),
      reason,
    })
    return announced
  })
}

/** For example `events 400 days (archived), keys for ever, dead letters 90 days`. */
export function describeTerms({ events, keys, deadLetters, archive }: Terms): string {
  const text = (term: number | null) => (term === null ? 'for ever' : `${term} days`)
  return `events ${text(events)}${archive && events !== null ? ' (archived)' : ''}, keys ${text(keys)}, dead letters ${text(deadLetters)}`
}

/** Nothing is ever dropped. */
export const FOR_EVER: Terms = { events: null, keys: null, deadLetters: null, archive: false }

function longestOf(terms: Terms, accepted: Terms): Terms {
  const longer = (term: number | null, least: number | null) =>
    term === null || least === null ? null : Math.max(term, least)
  return {
    events: longer(terms.events, accepted.events),
    keys: longer(terms.keys, accepted.keys),
    deadLetters: longer(terms.deadLetters, accepted.deadLetters),
    archive: terms.archive || accepted.archive,
  }
}

/** No event is dropped without an archive if an operator has accepted that they are archived. */
function allowedOf(terms: Terms, longest: Terms): Terms {
  if (longest.archive && !terms.archive) return { ...longest, events: null, archive: false }
  return longest
}

function isSame(some: Terms, others: Terms): boolean {
  const names = Object.keys(termsSchema.shape) as (keyof Terms)[]
  return names.every((name) => some[name] === others[name])
}
