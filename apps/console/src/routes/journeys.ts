import { readJourneyPage } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { journeyNotLandedPage, journeyPage } from '../pages/journey.ts'
import { sendPage } from './reply.ts'

export const journeyParams = z.object({
  environment: z.string().regex(/^[a-z0-9-]{1,32}$/, 'is no environment such as live'),
  journeyId: z.string().min(1),
})
export const journeyQuery = z.object({
  at: z.string().max(64, 'is no event key').optional(),
  zone: z.string().max(64, 'is no time zone').optional(),
})

export function addJourneys(app: App, { stores }: ConsoleDeps): void {
  const schema = { hide: true, params: journeyParams, querystring: journeyQuery }
  app.get('/journeys/:environment/:journeyId', { schema }, async (request, reply) => {
    const read = await readJourneyPage(stores, request.params, request.query)
    switch (read.kind) {
      case 'journey':
        return sendPage(request, reply, { title: 'Journey', body: journeyPage(read) })
      case 'not_landed':
        return sendPage(request, reply, {
          title: 'Journey',
          body: journeyNotLandedPage(request.params, read),
        })
      case 'not_here':
        throw new Problem(404, 'Nothing of this journey has been received here.')
      case 'refused':
        throw new Problem(400, read.words)
      default:
        return read satisfies never
    }
  })
}
