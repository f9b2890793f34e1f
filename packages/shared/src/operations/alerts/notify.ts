import {
  type Condition,
  claimMessage,
  type Db,
  type DueMessage,
  holdIncidents,
  type RefusedSince,
  readRefusedSince,
  releaseMessage,
  resolveUnseen,
  seeCondition,
  settleMessage,
} from '../../db/index.ts'
import { failpoint } from '../../runtime/index.ts'
import type { Conditions } from './conditions.ts'
import { type DeliverDeps, deliver } from './deliver.ts'
import type { Message } from './message.ts'
import { recoveryText } from './texts.ts'

/** Nothing is said of what lasted less than this, nor is anything over that was gone for less. */
const GRACE_MS = 30_000
/** Longer than all tries of all channels together. */
const CLAIM_MS = 60_000

export type Times = { readonly graceMs: number; readonly claimMs: number }
export const TIMES: Times = { graceMs: GRACE_MS, claimMs: CLAIM_MS }

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

/** So many messages are sent at the same time. */
const TOGETHER = 10

/**
 * Sends the messages that are due. Of several processes one sends each. A process that dies before it has noted a
 * message leaves it to another one, which sends it once more at most.
 */
export async function sendDue(
  { pool }: Db,
  deps: DeliverDeps,
  { stop, times = TIMES }: { stop: AbortSignal; times?: Times },
): Promise<void> {
  async function send(due: DueMessage): Promise<void> {
    failpoint('alert-claimed')
    const took = await deliver(deps, await messageOf(pool, due), { stop })
    await (took.length > 0 ? settleMessage(pool, due) : releaseMessage(pool, due))
  }
  while (!stop.aborted) {
    const sending: Promise<void>[] = []
    while (sending.length < TOGETHER) {
      const due = await claimMessage(pool, times)
      if (!due) break
      sending.push(send(due))
    }
    if (sending.length === 0) return
    await Promise.all(sending)
  }
}

/** The first refusal may be a little older than its incident. */
const BEFORE_MS = 60_000

async function messageOf(pool: Db['pool'], due: DueMessage): Promise<Message> {
  const { kind, name, subject, text, openedAt, resolvedAt, isAgain } = due
  const isOfRefusals = kind === 'recovered' && name === 'refusing' && subject === ''
  const refused: RefusedSince | undefined = isOfRefusals
    ? await readRefusedSince(pool, new Date(openedAt.getTime() - BEFORE_MS))
    : undefined
  return {
    kind,
    isAgain,
    name,
    severity: due.severity as Condition['severity'],
    key: messageKey(due),
    text:
      kind === 'opened' || !resolvedAt
        ? text
        : recoveryText(text, { openedAt, resolvedAt, ...(refused && { refused }) }),
    at: resolvedAt ?? openedAt,
  }
}

export const messageKey = ({ name, subject }: Pick<Condition, 'name' | 'subject'>) =>
  [name, subject].filter(Boolean).join(' ')
