import swagger from '@fastify/swagger'
import { release } from '@sluice/shared/runtime'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import type { App, ConsoleDeps } from '../context.ts'
import { addActionsApi } from './actions.ts'
import { addDeadLettersApi } from './dead-letters.ts'
import { addDriftApi } from './drift.ts'
import { addEventsApi } from './events.ts'
import { addJourneysApi } from './journeys.ts'
import { addNewsApi } from './news.ts'
import { addOperationsApi } from './operations.ts'
import { addPreviewApi } from './preview.ts'
import { addSearchApi } from './search.ts'
import { addStateApi } from './state.ts'

/** A new part of the API is added here. */
const PARTS = [
  addStateApi,
  addNewsApi,
  addSearchApi,
  addEventsApi,
  addJourneysApi,
  addDeadLettersApi,
  addOperationsApi,
  addPreviewApi,
  addDriftApi,
  addActionsApi,
]

/** Everything below /api/v1, with its description in OpenAPI. */
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
      for (const add of PARTS) add(api as App, deps)
      api.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
    },
    { prefix: '/api/v1' },
  )
}
