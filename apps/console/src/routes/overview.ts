import type { App, ConsoleDeps } from '../context.ts'
import { overviewPage, overviewRegion } from '../pages/overview.ts'
import { sendPage } from './reply.ts'

export function addOverview(app: App, { readNow, live }: ConsoleDeps): void {
  const region = async () => overviewRegion(await readNow())

  app.get('/', { schema: { hide: true } }, async (request, reply) =>
    sendPage(request, reply, { title: 'Overview', body: overviewPage(await region()) }),
  )

  app.get('/live/overview', { schema: { hide: true } }, (_request, reply) => {
    live.stream('overview', region, reply)
  })
}
