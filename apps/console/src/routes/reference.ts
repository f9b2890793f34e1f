import type { App } from '../context.ts'
import { referencePage } from '../pages/reference.ts'
import { sendPage } from './reply.ts'

export function addReference(app: App): void {
  app.get('/api', { schema: { hide: true } }, async (request, reply) =>
    sendPage(request, reply, { title: 'API', body: referencePage(app.swagger()) }),
  )
}
