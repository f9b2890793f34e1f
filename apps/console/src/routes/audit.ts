import { listActions } from '@sluice/shared/operations'
import type { App, ConsoleDeps } from '../context.ts'
import { auditPage } from '../pages/audit.ts'
import { pageOf, pageQuery, shortText } from '../schemas.ts'
import { sendPage } from './reply.ts'

const PAGE = 50

export function addAudit(app: App, { stores }: ConsoleDeps): void {
  const querystring = pageQuery.extend({ actor: shortText, target: shortText })
  app.get('/audit', { schema: { hide: true, querystring } }, async (request, reply) => {
    const { before, actor = '', target = '' } = request.query
    const found = await listActions(
      stores.db,
      { actor: actor || undefined, target: target || undefined },
      { limit: PAGE + 1, before },
    )
    const { items, next } = pageOf(found, PAGE)
    const body = auditPage(items, { actor, target, before, older: next })
    return sendPage(request, reply, { title: 'Audit', body })
  })
}
