import {
  type ActOutcome,
  type Db,
  type DeadLetterAct,
  discardDeadLetter,
  replayDeadLetter,
  undoDiscard,
} from '../db/index.ts'
import { UserError } from '../runtime/index.ts'

const ACTS = { replay: replayDeadLetter, discard: discardDeadLetter, undo: undoDiscard }

export type DeadLetterActName = keyof typeof ACTS
export type ActResult = { readonly id: number } & ActOutcome

/**
 * Acts on dead letters one after the other, each in its own transaction, and reports each as soon as it is done.
 *
 * @throws UserError if a discard has no reason
 */
export async function* actOnDeadLetters(
  db: Db,
  name: DeadLetterActName,
  { ids, ...act }: Omit<DeadLetterAct, 'id'> & { readonly ids: readonly number[] },
): AsyncGenerator<ActResult> {
  if (name === 'discard' && !act.reason?.trim()) {
    throw new UserError('A discard needs a reason, for those who ask later: add --reason TEXT.')
  }
  for (const id of ids) yield { id, ...(await ACTS[name](db, { ...act, id })) }
}
