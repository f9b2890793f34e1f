import { listActions } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { auditPage } from '../pages/audit.ts'
import { pageQuery } from '../schemas.ts'
import { sendPage } from './reply.ts'

const PAGE = 50
const text = z
  .string()
  .max(200)
  .regex(/^[^\0]*$/)
  .optional()

export function addAudit(app: App, { stores }: ConsoleDeps): void {
  const querystring = pageQuery.extend({ actor: text, target: text })
  app.get('/audit', { schema: { hide: true, querystring } }, async (request, reply) => {
    const { before, actor = '', target = '' } = request.query
    const found = await listActions(
      stores.db,
      { actor: actor || undefined, target: target || undefined },
      { limit: PAGE + 1, before },
    )
    const actions = found.slice(0, PAGE)
    const older = found.length > PAGE ? actions.at(-1)?.id : undefined
    return sendPage(request, reply, {
      title: 'Audit',
      body: auditPage(actions, { actor, target, before, older }),
    })
  })
}
