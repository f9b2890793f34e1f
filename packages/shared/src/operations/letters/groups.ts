import {
  type Db,
  groupDeadLetters,
  type LetterGroup,
  type LetterGroups,
  type Operation,
  operationsOn,
  type SingleAct,
  singleActsOn,
} from '../../db/index.ts'
import { runbookOf } from './runbook.ts'

export type DeadLetterGroup = LetterGroup & {
  /** What to do, in one sentence; null for a reason of another release. */
  readonly runbook: string | null
  /** What was done to letters that failed alike, the newest first, at most three. */
  readonly past: readonly Operation[]
  /** What persons did to single ones of them, the newest first, at most three. */
  readonly acts: readonly SingleAct[]
}

export type DeadLetterGroups = Omit<LetterGroups, 'groups'> & { readonly groups: readonly DeadLetterGroup[] }

const MOST_GROUPS = 200
const PAST = 3

/** The open dead letters by what they failed with, and what was done about the same before. */
export async function findGroups(db: Pick<Db, 'pool'>, limit = MOST_GROUPS): Promise<DeadLetterGroups> {
  const found = await groupDeadLetters(db, { limit })
  const fingerprints = found.groups.map(({ fingerprint }) => fingerprint)
  const [past, acts] = await Promise.all([operationsOn(db, fingerprints), singleActsOn(db, fingerprints)])
  return {
    ...found,
    groups: found.groups.map((group) => ({
      ...group,
      runbook: runbookOf(group.example.reason),
      past: past.filter(({ fingerprints }) => fingerprints.includes(group.fingerprint)).slice(0, PAST),
      acts: acts.filter(({ fingerprint }) => fingerprint === group.fingerprint).slice(0, PAST),
    })),
  }
}
