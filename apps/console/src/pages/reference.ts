import * as z from 'zod'
import { type Html, html } from '../html.ts'

const operation = z.object({
  summary: z.string().optional(),
  parameters: z
    .array(
      z.object({
        name: z.string(),
        in: z.string(),
        required: z.boolean().optional(),
        description: z.string().optional(),
        schema: z.record(z.string(), z.unknown()).optional(),
      }),
    )
    .default([]),
  requestBody: z.unknown().optional(),
  responses: z.record(z.string(), z.unknown()).default({}),
})
/** What the page reads of an OpenAPI document. */
const document = z.object({ paths: z.record(z.string(), z.record(z.string(), operation)) })

/** The API in words, from its own description. @param openapi the document */
export function referencePage(openapi: unknown): Html {
  const { paths } = document.parse(openapi)
  const all = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, each]) => entry(`${method.toUpperCase()} ${path}`, each)),
  )
  return html`<h1>What the console shows, as JSON</h1>
<p>Sign in with HTTP Basic: <code>curl -u USER:SECRET …/api/v1/state</code>. Lists answer <code>items</code> and <code>next</code>, errors <code>error</code> in
words. The same for programs: <a href="/api/v1/openapi.json">OpenAPI</a>.</p>
${all}`
}

function entry(
  name: string,
  { summary, parameters, requestBody, responses }: z.infer<typeof operation>,
): Html {
  return html`<section><h2><code>${name}</code></h2><p>${summary}</p>
${parameters.length > 0 && html`<dl class="card pane">${parameters.map(parameter)}</dl>`}
${requestBody !== undefined && schemaOf('What is sent', requestBody)}${schemaOf('What is answered', responses)}</section>`
}

function parameter({
  name,
  required,
  description,
  schema = {},
}: z.infer<typeof operation>['parameters'][number]): Html {
  const values = Array.isArray(schema.enum) ? schema.enum.filter((value) => value !== '').join(', ') : null
  const texts = [values ?? String(schema.type ?? 'text'), required ? 'needed' : null, description]
  return html`<dt><code>${name}</code></dt><dd>${texts.filter(Boolean).join(' · ')}</dd>`
}

function schemaOf(title: string, schema: unknown): Html {
  return html`<details><summary>${title}</summary><div class="card"><pre tabindex="0">${JSON.stringify(schema, null, 2)}</pre></div></details>`
}
