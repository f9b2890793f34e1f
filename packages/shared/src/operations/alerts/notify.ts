import {
  type Condition,
  claimMessage,
  type Db,
  type DueMessage,
  holdIncidents,
  releaseMessage,
  resolveUnseen,
  seeCondition,
  settleMessage,
} from '../../db/index.ts'
import type { Conditions } from './conditions.ts'
import { type DeliverDeps, deliver } from './deliver.ts'
import type { Message } from './message.ts'
import { recoveryText } from './texts.ts'

/** Nothing is said of what lasted less than this, nor is anything over that was gone for less. */
export const GRACE_MS = 30_000
/** Longer than all tries of all channels together. */
const CLAIM_MS = 60_000

export type Times = { readonly graceMs: number; readonly claimMs: number }
const TIMES: Times = { graceMs: GRACE_MS, claimMs: CLAIM_MS }

/** Writes what holds now into `incidents`. */
export async function noteConditions(
  { pool }: Db,
  { found, held }: Conditions,
  { graceMs }: Pick<Times, 'graceMs'> = TIMES,
): Promise<void> {
  for (const condition of found) await seeCondition(pool, condition)
  if (held.length > 0) await holdIncidents(pool, held)
  await resolveUnseen(pool, graceMs)
}

/**
 * Sends the messages that are due, one after another. Of several processes one sends each. A process that dies before
 * it has noted a message leaves it to another one, which sends it once more at most.
 */
export async function sendDue(
  { pool }: Db,
  deps: DeliverDeps,
  { stop, times = TIMES }: { stop: AbortSignal; times?: Times },
): Promise<void> {
  while (!stop.aborted) {
    const due = await claimMessage(pool, times)
    if (!due) return
    const took = await deliver(deps, messageOf(due), { stop })
    await (took.length > 0 ? settleMessage(pool, due) : releaseMessage(pool, due))
  }
}

function messageOf(due: DueMessage): Message {
  const { kind, name, text, openedAt, resolvedAt } = due
  return {
    kind,
    name,
    severity: due.severity as Condition['severity'],
    key: messageKey(due),
    text: kind === 'opened' || !resolvedAt ? text : recoveryText(due, { openedAt, resolvedAt }),
    at: resolvedAt ?? openedAt,
  }
}

export const messageKey = ({ name, subject }: Pick<Condition, 'name' | 'subject'>) =>
  ['sluice', name, subject].filter(Boolean).join(' ')
