import type { Connection, Db } from './pool.ts'
import type { operatorActions } from './schema.ts'

/**
 * The acts that `operator_actions` records: on dead letters, on operations (from `start` to `cancel`), on what is
 * stored, on drift, and on alerts.
 */
type OperatorActionName =
  | 'replay'
  | 'discard'
  | 'undo'
  | 'start'
  | 'go'
  | 'pause'
  | 'resume'
  | 'cancel'
  | 'reland'
  | 'erase'
  | 'reapply'
  | 'accept_retention'
  | 'acknowledge'
  | 'mute'
  | 'unmute'

export type OperatorAction = Pick<typeof operatorActions.$inferSelect, 'actor' | 'target'> & {
  readonly action: OperatorActionName
  readonly reason?: string | undefined
}

/** Records an act of a person or script. Call it in the transaction of the act, so that neither is kept alone. */
export async function recordAction(
  connection: Connection,
  { actor, action, target, reason }: OperatorAction,
): Promise<void> {
  await connection.query(
    'insert into operator_actions (actor, action, target, reason) values ($1, $2, $3, $4)',
    [actor, action, target, reason ?? null],
  )
}

/** An act as it was recorded. */
export type RecordedAction = typeof operatorActions.$inferSelect & {
  /** What the operation does and to which letters, if the act is about one; else null. */
  readonly operation: { readonly kind: string; readonly words: string; readonly expected: number } | null
}

/** The letters of a journey also stand for it. */
type ActionFilter = {
  readonly actor?: string | undefined
  /** For example `dead_letter 42` or `operation 7`. */
  readonly target?: string | undefined
  readonly journey?: { readonly environment: string; readonly journeyId: string } | undefined
  /** The letters of the event with this key. */
  readonly eventKey?: Buffer | undefined
  readonly since?: Date
  /** A person whose acts are left out. */
  readonly notBy?: string
}

/**
 * Lists acts, the newest first. Without a target, it leaves out what an operation did to each letter: the start of the
 * operation stands for that.
 *
 * @param page.before the last id of the page before
 */
export async function listActions(
  { pool }: Pick<Db, 'pool'>,
  filter: ActionFilter,
  page: { readonly limit: number; readonly before?: number | undefined },
): Promise<RecordedAction[]> {
  const values: unknown[] = [page.limit]
  const { rows } = await pool.query(
    `select a.id::float8 as id, a.at, a.actor, a.action, a.target, a.reason, a.operation_id::float8 as "operationId",
      case when o.id is not null then json_build_object('kind', o.kind, 'words', o.words, 'expected', o.expected)
        end as operation
    from operator_actions a left join operations o
      on o.id = coalesce(a.operation_id, substring(a.target from '^operation ([0-9]{1,15})$')::bigint)
    where ${conditionsOf({ ...filter, before: page.before }, values)} order by a.id desc limit $1`,
    values,
  )
  return rows
}

function conditionsOf(
  { actor, target, journey, eventKey, since, notBy, before }: ActionFilter & { before?: number | undefined },
  values: unknown[],
): string {
  const value = (given: unknown) => `$${values.push(given)}`
  const conditions = ['true']
  if (actor !== undefined) conditions.push(`a.actor = ${value(actor)}`)
  if (since !== undefined) conditions.push(`a.at > ${value(since)}`)
  if (notBy !== undefined) conditions.push(`a.actor <> ${value(notBy)}`)
  if (before !== undefined) conditions.push(`a.id < ${value(before)}`)
  if (target !== undefined) conditions.push(`a.target = ${value(target)}`)
  if (journey) {
    const { environment, journeyId } = journey
    conditions.push(ofLetters(`d.environment = ${value(environment)} and d.journey_id = ${value(journeyId)}`))
  }
  if (eventKey) conditions.push(ofLetters(`d.event_key = ${value(eventKey)}`))
  if (target === undefined && !journey && !eventKey) conditions.push('a.operation_id is null')
  return conditions.join(' and ')
}

const ofLetters = (which: string) =>
  `a.target in (select 'dead_letter ' || d.id from dead_letters d where ${which})`
