import { REPLAY_JOB_ID } from './dead-letters.ts'
import { foldJourneys, journeysOfKeys } from './journeys.ts'
import { whereLetter } from './letter-filter.ts'
import { ACTED_ON, type Operation, type OperationKind } from './operation-rows.ts'
import type { Connection } from './pool.ts'

/** SQL: the replays of an operation that are under way. One whose inbox row is gone has ended without a result. */
const UNDER_WAY = `select from (
    select ${REPLAY_JOB_ID} as row from dead_letters where operation_id = $1 and state = 'replaying') as sent
  where exists (select from inbox where job_id = sent.row)`

export type LettersOf = {
  readonly underWay: number
  /** Open again. At most as many as were asked for. */
  readonly failed: number
}

/** Counts letters of an operation that replays, as far as its next batch depends on them. */
export async function countUnderWay(
  connection: Connection,
  { id, stopAfter }: Pick<Operation, 'id' | 'stopAfter'>,
): Promise<LettersOf> {
  const { rows } = await connection.query<LettersOf>(
    `select (select count(*)::int from (${UNDER_WAY}) as letters) as "underWay",
      (select count(*)::int from (select from dead_letters where operation_id = $1 and state = 'open' limit $2) as open)
        as failed`,
    [id, stopAfter ?? 0],
  )
  return rows[0] as LettersOf
}

const COUNT = (state: string) =>
  `(select count(*) from dead_letters where operation_id = $1 and state = '${state}')`

/**
 * Counts all letters of an operation that have landed or failed, and notes it in its row.
 *
 * @param ageMs only if the last count is older
 */
export async function recountLetters(connection: Connection, id: number, ageMs = 0): Promise<void> {
  await connection.query(
    `update operations set landed = ${COUNT('resolved')}, failed = ${COUNT('open')}, counted_at = now()
      where id = $1 and kind = 'replay' and counted_at <= now() - $2::float8 * interval '1 millisecond'`,
    [id, ageMs],
  )
}

type Range = Pick<Operation, 'id' | 'kind' | 'lastId' | 'maxId' | 'filter'>

/**
 * SQL about the letters that an operation has not reached yet. A letter that failed since its start is not among them.
 */
function whereAhead({ id, kind, lastId, maxId, filter }: Range, values: unknown[]): string {
  const value = (given: unknown) => `$${values.push(given)}`
  if (!filter) return 'false'
  return `d.state = ${value(ACTED_ON[kind])} and d.id > ${value(lastId)} and d.id <= ${value(maxId)}
    and d.last_failed_at <= (select created_at from operations where id = ${value(id)}) and ${whereLetter(filter, values)}`
}

/** Whether an operation has letters that it has not reached yet. */
export async function hasLettersAhead(connection: Connection, operation: Range): Promise<boolean> {
  const values: unknown[] = []
  const { rows } = await connection.query<{ found: boolean }>(
    `select exists (select from dead_letters d where ${whereAhead(operation, values)}) as found`,
    values,
  )
  return rows[0]?.found === true
}

type Act = Range & Pick<Operation, 'actor' | 'reason'>

/** `lastId`: the letters up to this one have been reached. */
export type Batch = { readonly taken: number; readonly lastId: number }

/**
 * Acts on the next letters of an operation, in the caller's transaction. A letter that another act has reached before
 * is passed over.
 *
 * @returns undefined if there are none left
 */
export async function actOnBatch(
  connection: Connection,
  operation: Act,
  size: number,
  options: { readonly announced: boolean },
): Promise<Batch | undefined> {
  const values: unknown[] = [size]
  const { rows: ahead } = await connection.query<{ id: number }>(
    `select d.id::float8 as id from dead_letters d where ${whereAhead(operation, values)} order by d.id limit $1`,
    values,
  )
  const lastId = ahead.at(-1)?.id
  if (lastId === undefined) return undefined
  const state = ACTED_ON[operation.kind]
  // In the order in which landing locks them.
  const { rows: locked } = await connection.query<{ id: number }>(
    `select id::float8 as id from dead_letters where id = any($1::bigint[]) and state = $2
      order by job_id collate "C" for update`,
    [ahead.map(({ id }) => id), state],
  )
  const ids = locked.map(({ id }) => id)
  const eventKeys = await moveLetters(connection, operation, ids)
  if (operation.kind !== 'replay') {
    // Open conflicts mark their journeys.
    await foldJourneys(connection, await journeysOfKeys(connection, eventKeys), options)
  }
  return { taken: ids.length, lastId }
}

/** What is done to the letters `moved`, besides their new state. */
const MOVES: Readonly<Record<OperationKind, { readonly to: string; readonly also?: string }>> = {
  replay: {
    to: `'replaying', replays = replays + 1`,
    also: `put as (insert into inbox (job_id, envelope, replay_of)
      select ${REPLAY_JOB_ID}, envelope, id from moved on conflict (job_id) do nothing),`,
  },
  discard: { to: `'discarded'` },
  undo: { to: `'open'` },
}

/** Moves locked letters to their next state, and records the act on each. @returns the keys of their events */
async function moveLetters(
  connection: Connection,
  { id, kind, actor, reason }: Act,
  ids: readonly number[],
): Promise<Buffer[]> {
  const { to, also = '' } = MOVES[kind]
  const { rows } = await connection.query<{ eventKey: Buffer | null }>(
    `with moved as (update dead_letters set state = ${to}, operation_id = $1 where id = any($2::bigint[])
      returning id, job_id, envelope, replays, event_key), ${also}
    noted as (insert into operator_actions (actor, action, target, reason, operation_id)
      select $3, $4, 'dead_letter ' || id, $5, $1 from moved order by id)
    select event_key as "eventKey" from moved`,
    [id, ids, actor, kind, reason],
  )
  return rows.flatMap(({ eventKey }) => eventKey ?? [])
}
