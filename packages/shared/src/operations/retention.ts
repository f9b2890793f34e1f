import {
  type Db,
  FOR_EVER,
  findOverdue,
  mustBeAccepted,
  type Overdue,
  type RetentionState,
  readRetention,
  type SizedPartition,
  sizePartitions,
} from '../db/index.ts'

/** What is kept, for how long, and what is older. */
export type RetentionSurvey = {
  readonly state: RetentionState
  /** An operator must accept the announced terms, or nothing goes by them. */
  readonly needsAcceptance: boolean
  readonly partitions: readonly SizedPartition[]
  /** What is older than the announced terms. */
  readonly overdue: Overdue
}

export async function surveyRetention(db: Db): Promise<RetentionSurvey> {
  const state = await readRetention(db.pool)
  const terms = state.announced ?? FOR_EVER
  const partitions = await sizePartitions(db.pool, terms.events)
  const overdue = await findOverdue(db, terms, partitions, state.now)
  return { state, needsAcceptance: mustBeAccepted(state), partitions, overdue }
}
