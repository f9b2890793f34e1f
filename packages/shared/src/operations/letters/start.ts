import * as z from 'zod'
import {
  ACTED_ON,
  type Db,
  findSameOperation,
  insertOperation,
  isEmptyFilter,
  type LetterFilter,
  type LetterSet,
  letterFilter,
  lockStarts,
  measureDeadLetters,
  OPERATION_KINDS,
  type OperationKind,
} from '../../db/index.ts'
import { describeFilter } from './words.ts'

const MOST_LETTERS = 1_000_000_000
const number = (most: number) => z.int().min(1).max(most).nullable().default(null)

/** What a person asks for. Its parse errors are for people. */
export const newOperation = z
  .strictObject({
    kind: z.enum(OPERATION_KINDS),
    filter: letterFilter,
    /** The number of letters that the person has seen. */
    expected: z.int().min(0).max(MOST_LETTERS),
    /** So many are replayed first; then a person says how it goes on. */
    sample: number(1_000),
    /** Letters a second. */
    rate: number(10_000),
    /** It stops when so many have failed again. */
    stopAfter: number(MOST_LETTERS),
    reason: z
      .string()
      .trim()
      .min(1, 'is missing: say why')
      .max(1_000)
      .regex(/^[^\0]*$/, 'has a NUL'),
  })
  .refine(({ kind, sample, stopAfter }) => kind === 'replay' || (sample === null && stopAfter === null), {
    message: 'is for a replay alone: nothing else can fail',
    path: ['sample'],
  })

export type NewOperationRequest = z.infer<typeof newOperation>

export type OperationPlan = LetterSet & { readonly words: string }

/** Counts the letters that an operation would be about. @returns undefined if the filter is empty */
export async function planOperation(
  { pool }: Pick<Db, 'pool'>,
  { kind, filter }: { kind: OperationKind; filter: LetterFilter },
): Promise<OperationPlan | undefined> {
  if (isEmptyFilter(filter)) return undefined
  const set = await measureDeadLetters(pool, { state: ACTED_ON[kind], filter })
  return { ...set, words: describeFilter(filter, kind) }
}

export type StartOutcome =
  | { readonly kind: 'started'; readonly id: number; readonly count: number }
  /** The person has seen another number. */
  | { readonly kind: 'count_changed'; readonly count: number }
  /** The same operation is under way. */
  | { readonly kind: 'under_way'; readonly id: number }
  | { readonly kind: 'nothing_to_do' }
  | { readonly kind: 'empty_filter' }

/** Starts an operation on exactly as many letters as the person has seen. A scheduler carries it out. */
export function startOperation(
  db: Db,
  { expected, ...asked }: NewOperationRequest & { readonly actor: string },
): Promise<StartOutcome> {
  return db.transaction(async (connection): Promise<StartOutcome> => {
    const { kind, filter, sample } = asked
    if (isEmptyFilter(filter)) return { kind: 'empty_filter' }
    await lockStarts(connection)
    const same = await findSameOperation(connection, { kind, filter })
    if (same) return { kind: 'under_way', id: same.id }
    const { count, maxId, fingerprints } = await measureDeadLetters(connection, {
      state: ACTED_ON[kind],
      filter,
    })
    if (count !== expected) return { kind: 'count_changed', count }
    if (count === 0) return { kind: 'nothing_to_do' }
    const id = await insertOperation(connection, {
      ...asked,
      sample: sample === null ? null : Math.min(sample, count),
      words: describeFilter(filter, kind),
      expected: count,
      maxId,
      fingerprints: [...fingerprints],
    })
    return { kind: 'started', id, count }
  })
}
