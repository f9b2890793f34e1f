import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { overviewPage, overviewRegion } from '../pages/overview.ts'
import { sendPage } from './reply.ts'

export function addOverview(app: App, { readNow, live }: ConsoleDeps): void {
  const region = async () => overviewRegion(await readNow())

  app.get('/', { schema: { hide: true } }, async (request, reply) =>
    sendPage(request, reply, { title: 'Overview', body: overviewPage(await region()) }),
  )

  app.get('/live/overview', { schema: { hide: true } }, (_request, reply) => {
    if (!live.stream('overview', region, reply)) throw new Problem(503, 'There are 50 live pages already.')
  })
}
