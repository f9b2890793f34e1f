import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Html } from '../html.ts'
import { page } from '../layout.ts'

/**
 * Answers with a page; with `part`, a request of htmx for this element gets that part alone.
 *
 * @param shown.part the part of the page that has its own address, and the id of the element that holds it
 */
export function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  shown: { title: string; body: Html; status?: number; part?: { id: string; body: Html } },
): FastifyReply {
  const { title, body, status = 200, part } = shown
  reply.code(status).type('text/html; charset=utf-8').header('vary', 'HX-Request, HX-Target')
  const isPart = part && request.headers['hx-request'] !== undefined && isTarget(request, part.id)
  return reply.send(String(isPart ? part.body : page(request, { title, body })))
}

/** htmx 4 names the target as `tag#id`. */
function isTarget({ headers }: FastifyRequest, id: string): boolean {
  const target = headers['hx-target']
  return typeof target === 'string' && (target === id || target.endsWith(`#${id}`))
}
