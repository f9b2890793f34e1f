import { type JourneyAsked, readJourneyPage } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { nothingOfJourney } from '../pages/journey.ts'
import { environmentParams, journeyByIdQuery, journeyParams, journeyQuery } from '../routes/journeys.ts'
import { journeySchema, letterSchema, refusedSchema, toJson, waitingSchema } from './json.ts'

const text = z.string().nullable()
const value = z.union([z.string(), z.number(), z.boolean()]).nullable()

const one = z.object({
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
  refused: z.array(refusedSchema),
  /** Its events that have not landed yet. */
  waiting: z.array(waitingSchema),
  /** If more may wait: how far was looked, in words. */
  looked: z.array(z.string()),
})

export function addJourneysApi(api: App, { stores }: ConsoleDeps): void {
  const summary = 'One journey, now or as of one of its events (`at`)'
  async function answered(
    params: { environment: string; journeyId: string },
    query: JourneyAsked,
  ): Promise<z.infer<typeof one>> {
    const read = await readJourneyPage(stores, params, query)
    if (read.kind === 'refused') throw new Problem(400, read.words)
    if (read.kind === 'not_here') throw new Problem(404, nothingOfJourney(read))
    if (read.kind === 'not_landed') return { ...params, ...NOTHING, ...toJson(read) }
    const timeline = read.timeline.map(({ event, changed, supersededBecause }) => ({
      ...event,
      receivedAt: new Date(event.lastAt).toISOString(),
      changed: [...changed],
      supersededBecause,
    }))
    return { ...toJson(read), ...params, timeline }
  }

  const response = { 200: one }
  const schema = { summary, params: journeyParams, querystring: journeyQuery, response }
  api.get('/journeys/:environment/:journeyId', { schema }, ({ params, query }) => answered(params, query))
  const byId = {
    summary: 'The same, of a journey whose id cannot stand in a path, such as `..`',
    params: environmentParams,
    querystring: journeyByIdQuery,
    response,
  }
  api.get('/journeys/:environment', { schema: byId }, ({ params, query: { id: journeyId, ...asked } }) =>
    answered({ ...params, journeyId }, asked),
  )
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
