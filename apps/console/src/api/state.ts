import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import type { Now } from '../now.ts'
import { amount } from './replies.ts'

const time = z.iso.datetime()
const process = z.object({
  id: z.string(),
  release: z.string(),
  seenAt: time,
  silentMs: z.number(),
  queuePrefix: z.string().nullable(),
  shards: z.array(z.number()).nullable(),
})

const refusalFigures = z.object({
  awaited: z.number(),
  nextTryAt: time.nullable(),
  givesUpAt: time.nullable(),
  lost: z.number(),
})

const recorded = z.object({
  asOf: time,
  isRefusing: z.boolean(),
  rejected: z
    .array(z.object({ event: z.string().nullable(), error: z.string() }))
    .describe('Kinds of events of which Postgres refuses every one.'),
  flow: z.object({
    perMinute: z.array(
      z.object({ minute: time, accepted: z.number(), landed: z.number(), refused: z.number() }),
    ),
    lastHour: z.object({
      accepted: z.number(),
      landed: z.number(),
      duplicates: z.number(),
      refused: z.record(z.string(), z.number()),
    }),
    processing: z
      .object({ p50Ms: z.number().nullable(), p95Ms: z.number().nullable(), p99Ms: z.number().nullable() })
      .nullable(),
    lastEvents: z.record(z.string(), time.nullable()),
  }),
  workers: z.array(process),
  ingests: z.array(process),
  unsafe: z.array(z.string()),
  deadLetters: z.object({ open: amount, groups: z.number(), newestAt: time.nullable() }),
  refusals: refusalFigures.extend({ byEnvironment: z.record(z.string(), refusalFigures) }),
  usualGapMs: z.record(z.string(), z.number().nullable()),
})

const reply = z.object({
  at: time,
  level: z.enum(['ok', 'warn', 'fail']),
  sentence: z.string(),
  causes: z.array(
    z.object({
      kind: z.string(),
      level: z.enum(['warn', 'fail']),
      text: z.string(),
      since: time.nullable(),
      next: z.object({
        text: z.string(),
        command: z.string().optional(),
        link: z.string().optional(),
        runbook: z.string(),
      }),
    }),
  ),
  figures: z.object({
    stores: z.object({
      postgres: z.enum(['up', 'down', 'not_migrated']),
      redis: z.enum(['up', 'down', 'not_configured']),
    }),
    waiting: z.object({
      inbox: amount.nullable(),
      queue: z.number().nullable(),
      oldestMs: z.number().nullable(),
      unknown: z.array(z.enum(['inbox', 'queue'])).describe('Where the store does not answer.'),
    }),
    recorded: recorded.nullable(),
  }),
  refusals: z.array(
    z.object({
      eventKey: z.string(),
      environment: z.string(),
      event: z.string().nullable(),
      eventId: z.string().nullable(),
      journeyId: z.string().nullable(),
      referenceNo: z.string().nullable(),
      firstRefusedAt: time,
      lastRefusedAt: time,
      deliveries: z.number(),
      nextTryAt: time.nullable(),
      givesUpAt: time,
      isLost: z.boolean(),
    }),
  ),
})

/** The state as JSON, with times as text. */
export function stateReply({ state, refusals }: Now): z.infer<typeof reply> {
  const shown = refusals.map((refusal) => ({ ...refusal, eventKey: refusal.eventKey.toString('hex') }))
  return reply.parse(JSON.parse(JSON.stringify({ ...state, refusals: shown })))
}

export function addStateApi(api: App, { readNow }: ConsoleDeps): void {
  const schema = { summary: 'The state in words and figures', response: { 200: reply } }
  api.get('/state', { schema }, async () => stateReply(await readNow()))
}
