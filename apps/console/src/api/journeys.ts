import { type JourneyAsked, readJourneyPage } from '@sluice/shared/operations'
import type * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { nothingOfJourney } from '../pages/journey.ts'
import { environmentParams, journeyByIdQuery, journeyParams, journeyQuery } from '../routes/journeys.ts'
import { journeyReply, toJourneyReply } from './journey-reply.ts'

export function addJourneysApi(api: App, { stores }: ConsoleDeps): void {
  const summary = 'One journey, now or as of one of its events (`at`)'
  async function answered(
    params: { environment: string; journeyId: string },
    query: JourneyAsked,
  ): Promise<z.infer<typeof journeyReply>> {
    const read = await readJourneyPage(stores, params, query)
    if (read.kind === 'refused') throw new Problem(400, read.words)
    if (read.kind === 'not_here') throw new Problem(404, nothingOfJourney(read))
    return toJourneyReply(params, read)
  }

  const response = { 200: journeyReply }
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
