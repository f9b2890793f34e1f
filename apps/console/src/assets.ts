import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { FastifyInstance } from 'fastify'

const { resolve } = createRequire(import.meta.url)
const own = (name: string) => new URL(`./public/${name}`, import.meta.url)

const FILES = {
  'console.css': { files: [own('console.css')], type: 'text/css; charset=utf-8' },
  'console.js': { files: [own('console.js')], type: 'text/javascript; charset=utf-8' },
  'icon.svg': { files: [own('icon.svg')], type: 'image/svg+xml' },
  // In one file: htmx looks for what it has to do as soon as it may, and would miss an extension that is loaded later.
  'htmx.js': {
    files: [resolve('htmx.org/dist/htmx.min.js'), resolve('htmx.org/dist/ext/hx-sse.min.js')],
    type: 'text/javascript; charset=utf-8',
  },
} as const

/**
 * Serves the style sheet and the scripts, which are read once. They need no sign-in.
 *
 * @param styles further rules of the style sheet
 */
export function addAssets(app: FastifyInstance, styles: string): void {
  for (const [name, { files, type }] of Object.entries(FILES)) {
    const texts = files.map((file) => readFileSync(file, 'utf8'))
    const bytes = Buffer.from([...texts, ...(name === 'console.css' ? [styles] : [])].join('\n'))
    const etag = `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`
    app.get(
      `/assets/${name}`,
      { config: { access: 'anybody' }, schema: { hide: true } },
      (request, reply) => {
        reply.header('cache-control', 'no-cache').header('etag', etag)
        if (request.headers['if-none-match'] === etag) return reply.code(304).send()
        return reply.type(type).send(bytes)
      },
    )
  }
}
