import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { FastifyInstance } from 'fastify'

const { resolve } = createRequire(import.meta.url)
const own = (name: string) => new URL(`./public/${name}`, import.meta.url)

const FILES = {
  'console.css': { file: own('console.css'), type: 'text/css; charset=utf-8' },
  'console.js': { file: own('console.js'), type: 'text/javascript; charset=utf-8' },
  'icon.svg': { file: own('icon.svg'), type: 'image/svg+xml' },
  'htmx.js': { file: resolve('htmx.org/dist/htmx.min.js'), type: 'text/javascript; charset=utf-8' },
  'hx-sse.js': { file: resolve('htmx.org/dist/ext/hx-sse.min.js'), type: 'text/javascript; charset=utf-8' },
} as const

/** Serves the style sheet and the scripts, which are read once. They need no sign-in. */
export function addAssets(app: FastifyInstance): void {
  for (const [name, { file, type }] of Object.entries(FILES)) {
    const bytes = readFileSync(file)
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
