import swagger from '@fastify/swagger'
import { release } from '@sluice/shared/runtime'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import type { App, ConsoleDeps } from '../context.ts'
import { addBacklogApi } from './backlog.ts'
import { addEventsApi } from './events.ts'
import { addJourneysApi } from './journeys.ts'
import { addSearchApi } from './search.ts'

/** Everything below /api/v1, with its description in OpenAPI. A new part is added here. */
export async function addApi(app: App, deps: ConsoleDeps): Promise<void> {
  await app.register(swagger, {
    openapi: {
      info: { title: 'Sluice', version: release(), description: 'What the console shows, as JSON.' },
      components: { securitySchemes: { basic: { type: 'http', scheme: 'basic' } } },
      security: [{ basic: [] }],
    },
    transform: jsonSchemaTransform,
  })
  await app.register(
    async (api) => {
      for (const add of [addBacklogApi, addSearchApi, addEventsApi, addJourneysApi]) add(api as App, deps)
      api.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
    },
    { prefix: '/api/v1' },
  )
}
