import { listActions } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { apiPageQuery, pageOf, shortText } from '../schemas.ts'
import { actionReply } from './action-reply.ts'
import { toJson } from './json.ts'
import { nextPath } from './replies.ts'

const list = z.object({ items: z.array(actionReply), next: z.string().nullable() })

export function addActionsApi(api: App, { stores: { db } }: ConsoleDeps): void {
  const querystring = apiPageQuery.extend({
    actor: shortText,
    target: shortText.describe('For example `dead_letter 42` or `operation 7`.'),
    eventKey: z
      .string()
      .regex(/^([0-9a-f]{2}){1,64}$/)
      .optional()
      .describe('Hex: acts on the dead letters of this event.'),
    journeyId: shortText.describe(
      'Acts on the dead letters of this journey; `environment` is live unless given.',
    ),
    environment: shortText,
  })
  api.get(
    '/actions',
    { schema: { summary: 'Acts of people, newest first', querystring, response: { 200: list } } },
    async ({ query: { limit, before, actor, target, eventKey, journeyId, environment = 'live' }, url }) => {
      const filter = {
        actor,
        target,
        eventKey: eventKey === undefined ? undefined : Buffer.from(eventKey, 'hex'),
        journey: journeyId === undefined ? undefined : { environment, journeyId },
      }
      const found = await listActions(db, filter, { limit: limit + 1, before })
      const { items, next } = pageOf(found, limit)
      return { items: toJson(items), next: nextPath(url, next) }
    },
  )
}
