import type { DeadLetterState } from './dead-letter-acts.ts'
import { type LetterFilter, letterFilter } from './letter-filter.ts'
import { recordAction } from './operator-actions.ts'
import type { Connection, Db } from './pool.ts'
import type { operations } from './schema.ts'

export const OPERATION_KINDS = ['replay', 'discard', 'undo'] as const
export type OperationKind = (typeof OPERATION_KINDS)[number]

/** The state of the letters that an operation acts on. */
export const ACTED_ON: Readonly<Record<OperationKind, DeadLetterState>> = {
  replay: 'open',
  discard: 'open',
  undo: 'discarded',
}

export type OperationState =
  | 'sampling'
  | 'waiting_for_go'
  | 'running'
  | 'paused'
  | 'done'
  | 'stopped'
  | 'cancelled'

export type Operation = Omit<typeof operations.$inferSelect, 'kind' | 'state' | 'filter'> & {
  readonly kind: OperationKind
  readonly state: OperationState
  /** Undefined if an erasure has deleted it, since it named the person. Such an operation acts on nothing any more. */
  readonly filter: LetterFilter | undefined
}

const COLUMNS = `id::float8 as id, kind, filter, words, fingerprints, max_id::float8 as "maxId", expected, sample, rate,
  stop_after as "stopAfter", reason, actor, state, last_id::float8 as "lastId", taken, skipped, landed, failed,
  counted_at as "countedAt", due_at as "dueAt", created_at as "createdAt", ended_at as "endedAt"`

type Row = Omit<Operation, 'filter'> & { readonly filter: unknown }

function operationOf(row: Row): Operation {
  return { ...row, filter: letterFilter.safeParse(row.filter).data }
}

/** @param rest SQL after the columns, from `from` on */
export async function queryOperations(
  connection: Connection,
  rest: string,
  values: readonly unknown[],
): Promise<Operation[]> {
  const { rows } = await connection.query<Row>(`select ${COLUMNS} from operations ${rest}`, [...values])
  return rows.map(operationOf)
}

export async function readOperation({ pool }: Pick<Db, 'pool'>, id: number): Promise<Operation | undefined> {
  return (await queryOperations(pool, 'where id = $1', [id]))[0]
}

/** Lists operations, newest first. `before` is the last id of the page before. */
export function listOperations(
  { pool }: Pick<Db, 'pool'>,
  { limit, before, underWay = false }: { limit: number; before?: number | undefined; underWay?: boolean },
): Promise<Operation[]> {
  const further = before === undefined ? 'true' : 'id < $2'
  const which = underWay ? 'ended_at is null' : 'true'
  return queryOperations(
    pool,
    `where ${which} and ${further} order by id desc limit $1`,
    before === undefined ? [limit] : [limit, before],
  )
}

const PAST_SHOWN = 200

/** The newest operations that acted on letters with one of these fingerprints. */
export function operationsOn(
  { pool }: Pick<Db, 'pool'>,
  fingerprints: readonly string[],
): Promise<Operation[]> {
  return queryOperations(pool, `where fingerprints && $1::text[] order by id desc limit ${PAST_SHOWN}`, [
    fingerprints,
  ])
}

export type NewOperation = Pick<
  Operation,
  | 'kind'
  | 'words'
  | 'fingerprints'
  | 'maxId'
  | 'expected'
  | 'sample'
  | 'rate'
  | 'stopAfter'
  | 'reason'
  | 'actor'
> & { readonly filter: LetterFilter }

/** Serialises starts, so that a form which is sent twice starts one operation. */
const LOCK_STARTS = `select pg_advisory_xact_lock(hashtext('sluice operations'))`

export async function lockStarts(connection: Connection): Promise<void> {
  await connection.query(LOCK_STARTS)
}

/** An operation of the same kind on the same letters that has not ended. */
export async function findSameOperation(
  connection: Connection,
  { kind, filter }: Pick<NewOperation, 'kind' | 'filter'>,
): Promise<Operation | undefined> {
  const which = `where ended_at is null and state not in ('cancelled', 'stopped') and kind = $1 and filter = $2::jsonb`
  return (await queryOperations(connection, which, [kind, JSON.stringify(filter)]))[0]
}

/**
 * Writes the row after its letters were counted: none of these has failed later than `created_at`. From the row a
 * scheduler carries the operation out.
 *
 * @returns its number
 */
export async function insertOperation(connection: Connection, operation: NewOperation): Promise<number> {
  const { kind, filter, words, fingerprints, maxId, expected, sample, rate, stopAfter, reason, actor } =
    operation
  const { rows } = await connection.query<{ id: number }>(
    `insert into operations (kind, filter, words, fingerprints, max_id, expected, sample, rate, stop_after, reason,
      actor, state, created_at)
      values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, clock_timestamp()) returning id::float8 as id`,
    [
      kind,
      JSON.stringify(filter),
      words,
      fingerprints,
      maxId,
      expected,
      sample,
      rate,
      stopAfter,
      reason,
      actor,
      sample === null ? 'running' : 'sampling',
    ],
  )
  const id = rows[0]?.id as number
  await recordAction(connection, { actor, action: 'start', target: `operation ${id}`, reason })
  return id
}

/** What a person does to an operation under way: the states from which it leads to which. */
const STEERING = {
  go: { from: ['waiting_for_go'], to: 'running' },
  pause: { from: ['sampling', 'running'], to: 'paused' },
  resume: { from: ['paused'], to: 'running' },
  cancel: { from: ['sampling', 'waiting_for_go', 'running', 'paused'], to: 'cancelled' },
} as const satisfies Record<string, { from: readonly OperationState[]; to: OperationState }>

export type SteeringName = keyof typeof STEERING
export const STEERING_NAMES = Object.keys(STEERING) as SteeringName[]

// Paused before it has acted on more than its sample, it goes on with the sample, and so waits for a person again.
const TO = `case when $2 = 'running' and state = 'paused' and taken <= sample then 'sampling' else $2 end`

/** `not_possible`: in the state that it is in. */
type SteeringOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'not_possible'; readonly state: OperationState }
  | { readonly kind: 'not_found' }

/** The acts that are possible on an operation in this state. */
export function steeringOf(state: OperationState): SteeringName[] {
  return STEERING_NAMES.filter((name) => (STEERING[name].from as readonly string[]).includes(state))
}

/** When it has returned, a paused or cancelled operation acts on no further letter. */
export function steerOperation(
  db: Db,
  name: SteeringName,
  { id, actor, reason }: { id: number; actor: string; reason?: string | undefined },
): Promise<SteeringOutcome> {
  return db.transaction(async (connection): Promise<SteeringOutcome> => {
    // Waits for the batch under way, which locks the row.
    const { rows } = await connection.query<{ state: OperationState }>(
      'select state from operations where id = $1 for update',
      [id],
    )
    const state = rows[0]?.state
    if (state === undefined) return { kind: 'not_found' }
    if (!steeringOf(state).includes(name)) return { kind: 'not_possible', state }
    await connection.query(`update operations set state = ${TO}, due_at = now() where id = $1`, [
      id,
      STEERING[name].to,
    ])
    await recordAction(connection, { actor, action: name, target: `operation ${id}`, reason })
    return { kind: 'done' }
  })
}
