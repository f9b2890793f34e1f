import { search } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { pathOf } from '../parts/links.ts'
import { hitSchema, toJson } from './json.ts'

const asked = z.object({ q: z.string().max(10_000, 'is longer than 10,000 characters') })
const found = z.object({
  name: z.string(),
  form: z.string(),
  status: z.enum(['landed', 'waiting', 'dead_letter', 'refused', 'gone', 'not_here']),
  hits: z.array(hitSchema),
  /** The page of the console that shows all of it. */
  page: z.string().nullable(),
})
const answer = z.object({
  /** One for each name of the text. */
  items: z.array(found),
  /** What begins with the name, if the text is one name that nothing has. */
  starts: z.array(hitSchema),
  /** Where what is not here was looked for. */
  tried: z.array(z.string()),
  nearest: z.array(z.object({ name: z.string(), environment: z.string(), journeyId: z.string() })),
  /** The text has more names than were looked for. */
  isCut: z.boolean(),
})

export function addSearchApi(api: App, { stores }: ConsoleDeps): void {
  const summary = 'What an id, a reference number or any text leads to'
  async function answered(q: string): Promise<z.infer<typeof answer>> {
    const result = await search(stores, q)
    if (result.kind === 'nothing_asked' || result.kind === 'too_long') return EMPTY
    const names = result.kind === 'name' ? [result] : result.names
    const items = names.map(({ name, form, status, hits, place }) => ({
      name,
      form,
      status,
      hits: toJson(hits),
      page: place && pathOf(place),
    }))
    if (result.kind === 'text') return { ...EMPTY, items, tried: [...result.tried], isCut: result.isCut }
    return {
      ...EMPTY,
      items,
      starts: toJson(result.starts),
      tried: [...result.tried],
      nearest: toJson(result.nearest),
    }
  }

  api.get('/search', { schema: { summary, querystring: asked, response: { 200: answer } } }, (request) =>
    answered(request.query.q),
  )
  // It changes nothing, so a viewer may do it.
  api.post(
    '/search',
    { schema: { summary, body: asked, response: { 200: answer } }, config: { access: 'viewer' } },
    (request) => answered(request.body.q),
  )
}

const EMPTY = { items: [], starts: [], tried: [], nearest: [], isCut: false }
