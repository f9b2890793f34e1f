import {
  type ActOutcome,
  type Db,
  type DeadLetterAct,
  discardDeadLetter,
  replayDeadLetter,
  undoDiscard,
} from '../db/index.ts'

const ACTS = { replay: replayDeadLetter, discard: discardDeadLetter, undo: undoDiscard }

export type DeadLetterActName = keyof typeof ACTS
export type ActResult = { readonly id: number } & ActOutcome

/** Acts on dead letters one after the other, each in its own transaction, and reports each as soon as it is done. */
export async function* actOnDeadLetters(
  db: Db,
  name: DeadLetterActName,
  { ids, ...act }: Omit<DeadLetterAct, 'id'> & { readonly ids: readonly number[] },
): AsyncGenerator<ActResult> {
  for (const id of ids) yield { id, ...(await ACTS[name](db, { ...act, id })) }
}
