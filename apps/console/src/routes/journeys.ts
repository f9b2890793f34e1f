import { type JourneyAsked, readJourneyMark, readJourneyPage } from '@sluice/shared/operations'
import type { FastifyReply, FastifyRequest } from 'fastify'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { journeyNotLandedPage, journeyPage, nothingOfJourney } from '../pages/journey.ts'
import { journeyPath } from '../parts/links.ts'
import { changed, newer } from '../parts/newer.ts'
import { sendPage } from './reply.ts'

export const environmentParams = z.object({
  environment: z.string().regex(/^[a-z0-9-]{1,32}$/, 'is no environment such as live'),
})
export const journeyParams = environmentParams.extend({ journeyId: z.string().min(1) })
export const journeyQuery = z.object({
  at: z.string().max(64, 'is no event key').optional(),
  zone: z.string().max(64, 'is no time zone').optional(),
})
/** Of a journey whose id cannot stand in a path, such as `..`. */
export const journeyByIdQuery = journeyQuery.extend({ id: z.string().min(1).max(1_024) })

/** What the page has shown. */
const liveQuery = z.object({
  environment: environmentParams.shape.environment,
  id: z.string().min(1).max(1_024),
  events: z.coerce.number<string>().int().min(0),
  mark: z.string().max(100),
})

export function addJourneys(app: App, { stores, live }: ConsoleDeps): void {
  async function answer(
    name: { environment: string; journeyId: string },
    asked: JourneyAsked,
    [request, reply]: [FastifyRequest, FastifyReply],
  ) {
    const read = await readJourneyPage(stores, name, asked)
    switch (read.kind) {
      case 'journey':
        return sendPage(request, reply, { title: 'Journey', body: journeyPage(read) })
      case 'not_landed':
        return sendPage(request, reply, { title: 'Journey', body: journeyNotLandedPage(name, read) })
      case 'not_here':
        throw new Problem(404, nothingOfJourney(read))
      case 'refused':
        throw new Problem(400, read.words)
      default:
        return read satisfies never
    }
  }

  app.get('/live/journey', { schema: { hide: true, querystring: liveQuery } }, (request, reply) => {
    const { environment, id: journeyId, events, mark } = request.query
    const href = journeyPath({ environment, journeyId })
    const region = async () => {
      const now = await readJourneyMark(stores, { environment, journeyId })
      if (now.events > events) return newer(now.events - events, href)
      return now.mark === mark ? newer(0, href) : changed('It has changed', href)
    }
    live.stream(`journey ${environment} ${journeyId} ${events} ${mark}`, region, reply)
  })

  const schema = { hide: true, params: journeyParams, querystring: journeyQuery }
  app.get('/journeys/:environment/:journeyId', { schema }, (request, reply) =>
    answer(request.params, request.query, [request, reply]),
  )
  const byId = { hide: true, params: environmentParams, querystring: journeyByIdQuery }
  app.get('/journeys/:environment', { schema: byId }, (request, reply) => {
    const { id: journeyId, ...asked } = request.query
    return answer({ ...request.params, journeyId }, asked, [request, reply])
  })
}
