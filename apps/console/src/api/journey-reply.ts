import type { JourneyName, JourneyPageRead } from '@sluice/shared/operations'
import * as z from 'zod'
import { actionReply } from './action-reply.ts'
import { journeySchema, letterSchema, refusedSchema, toJson, waitingSchema } from './json.ts'

const text = z.string().nullable()
const value = z.union([z.string(), z.number(), z.boolean()]).nullable()

export const journeyReply = z.object({
  environment: z.string(),
  journeyId: z.string(),
  /** As of `at`; null if nothing of it was known, or nothing has landed. */
  state: z
    .object({
      referenceNo: text,
      stage: z.string(),
      systemDecision: text,
      manualDecision: text,
      finalDecision: text,
      amlVersion: z.number().nullable(),
      resubmission: text,
      renewal: text,
      events: z.int(),
      firstEventAt: z.string(),
      lastEventAt: z.string(),
      needsAttention: text,
    })
    .nullable(),
  at: text,
  /** In order of receipt, up to `at`. */
  timeline: z.array(
    z.object({
      eventKey: z.string(),
      event: text,
      kind: z.string(),
      eventId: text,
      receivedAt: z.string(),
      duplicates: z.int(),
      changed: z.array(z.object({ field: z.string(), from: value, to: value })),
      supersededBecause: text,
    }),
  ),
  total: z.int(),
  dropped: z.int(),
  missing: z.object({ what: z.string(), since: z.string(), words: z.string() }).nullable(),
  /** For the customer. */
  paragraph: text,
  beside: z.array(journeySchema),
  letters: z.array(letterSchema),
  /** What people did to these letters, the newest first, at most 20. */
  acts: z.array(actionReply),
  refused: z.array(refusedSchema),
  /** Its events that have not landed yet. */
  waiting: z.array(waitingSchema),
  /** If more may wait: how far was looked, in words. */
  looked: z.array(z.string()),
})

/** One journey, as the API and `sluice journey --json` answer it. */
export function toJourneyReply(
  { environment, journeyId }: JourneyName,
  read: Extract<JourneyPageRead, { kind: 'journey' | 'not_landed' }>,
): z.infer<typeof journeyReply> {
  const name = { environment, journeyId }
  if (read.kind === 'not_landed') return journeyReply.parse({ ...name, ...NOTHING, ...toJson(read) })
  const timeline = read.timeline.map(({ event, changed, supersededBecause }) => ({
    ...event,
    receivedAt: new Date(event.lastAt),
    changed,
    supersededBecause,
  }))
  return journeyReply.parse(toJson({ ...read, ...name, timeline }))
}

const NOTHING = {
  state: null,
  at: null,
  timeline: [],
  total: 0,
  dropped: 0,
  missing: null,
  paragraph: null,
  beside: [],
}
