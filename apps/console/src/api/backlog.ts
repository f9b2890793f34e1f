import { countBacklog } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'

const backlog = z.object({ inbox: z.number(), queue: z.number().nullable() })

export function addBacklogApi(api: App, { stores }: ConsoleDeps): void {
  api.get('/backlog', { schema: { summary: 'How many events wait', response: { 200: backlog } } }, async () =>
    countBacklog(stores, 1_000),
  )
}
