import { newOperation, planOperation, previewLetters } from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { toJson } from './json.ts'

const { kind, filter, sample } = newOperation.shape
const asked = z.strictObject({ kind, filter, sample })
const text = z.string().nullable()
const value = z.union([z.string(), z.number()]).nullable()

const plan = z.object({
  count: z.number().describe('How many letters it would be about: the `expected` of the operation.'),
  journeys: z.number().describe('Different journeys that they belong to.'),
  maxId: z.number(),
  fingerprints: z.array(z.string()).describe('At most 20.'),
  words: z.string(),
  preview: z
    .object({
      letters: z.array(
        z.object({
          id: z.number(),
          environment: text,
          event: text,
          eventId: text,
          journeyId: text,
          outcome: z.string(),
          error: text.describe('Why it would fail.'),
        }),
      ),
      journeys: z
        .array(
          z.object({
            environment: z.string(),
            journeyId: z.string(),
            isNew: z.boolean(),
            changes: z.array(z.object({ field: z.string(), from: value, to: value })),
          }),
        )
        .describe('Those whose row would change.'),
    })
    .nullable()
    .describe(
      'The first letters (`sample`, else 5), tried and taken back. Null if that was not possible now.',
    ),
})

/** How many letters are tried if the operation has no sample. */
const PREVIEWED = 5

/** What an operation would do. It stands for an act: only an operator may ask, since it takes locks for a moment. */
export function addPreviewApi(api: App, { actStores: { db } }: ConsoleDeps): void {
  const summary = 'What an operation would do: how many letters, and which rows of journeys would change'
  const schema = { summary, body: asked, response: { 200: plan } }
  api.post('/operations/preview', { schema }, async ({ body: { sample, ...act } }) => {
    const planned = await planOperation(db, act)
    if (!planned) throw new Problem(422, 'The filter is empty: this would be about all dead letters.')
    const preview = await previewLetters(db, { ...act, sample: sample ?? PREVIEWED }).catch(() => null)
    return { ...toJson(planned), preview: toJson(preview) }
  })
}
