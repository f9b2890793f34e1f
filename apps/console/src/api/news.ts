import { readNewsSince } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { actionReply } from './action-reply.ts'
import { toJson } from './json.ts'
import { amount, time } from './replies.ts'

const text = z.string().nullable()
const querystring = z.object({
  since: z.iso
    .datetime({ offset: true, error: 'is no time such as 2026-11-03T09:00:00Z' })
    .describe('For example `2026-11-03T09:00:00Z`.'),
})
const news = z.object({
  since: time,
  groups: z
    .array(
      z.object({
        fingerprint: z.string(),
        letters: amount,
        reason: z.string(),
        event: text,
        environment: text,
        errorMessage: z.string(),
        newestAt: time,
      }),
    )
    .describe('Groups of dead letters that are open and were not there before: the 6 largest at most.'),
  moreGroups: z.number().describe('How many such groups there are besides.'),
  acts: z.array(actionReply).describe('What others did: the 6 newest at most. `/actions` lists all.'),
  healed: z
    .array(z.object({ name: z.string(), text: z.string(), openedAt: time, resolvedAt: time.nullable() }))
    .describe('Incidents that were told and are over: the 6 newest at most.'),
  cameAgain: amount.describe('Events that had been refused and have come again.'),
})

export function addNewsApi(api: App, { stores: { db } }: ConsoleDeps): void {
  const summary = 'What happened since a time: new groups of dead letters, acts of others, what is over'
  api.get('/news', { schema: { summary, querystring, response: { 200: news } } }, async (request) => {
    const since = new Date(request.query.since)
    const found = await readNewsSince(db, { since, person: request.user?.name ?? '' })
    return toJson({ since, ...found })
  })
}
