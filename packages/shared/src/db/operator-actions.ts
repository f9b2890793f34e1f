import type { Connection } from './pool.ts'
import type { operatorActions } from './schema.ts'

/** The acts that `operator_actions` records. */
type OperatorActionName = 'replay' | 'discard' | 'reland' | 'reapply' | 'accept_retention'

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
