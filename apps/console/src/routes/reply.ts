import { type ReceivedEvent, writeEventReceipt } from '@sluice/shared/operations'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Html, html } from '../html.ts'
import { page } from '../layout.ts'
import { noteVisit } from '../visit.ts'

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
  if (request.user) noteVisit(request, reply)
  reply.code(status).type('text/html; charset=utf-8').header('vary', 'HX-Request, HX-Target')
  const isPart = part && request.headers['hx-request'] !== undefined && isTarget(request, part.id)
  return reply.send(String(isPart ? html`${CLOSE}${part.body}` : page(request, { title, body })))
}

const CLOSE = html`<button type="button" class="plain close" data-close>Close <kbd aria-hidden="true">Esc</kbd></button>`

/** htmx 4 names the target as `tag#id`. */
function isTarget({ headers }: FastifyRequest, id: string): boolean {
  const target = headers['hx-target']
  return typeof target === 'string' && (target === id || target.endsWith(`#${id}`))
}

/** Answers with bytes as they were received: as a file, which no browser shows or runs. */
export function sendBytes(reply: FastifyReply, name: string, bytes: Buffer): FastifyReply {
  return reply
    .type('application/octet-stream')
    .header('x-content-type-options', 'nosniff')
    .header('content-disposition', `attachment; filename="${name}.bin"`)
    .send(bytes)
}

export function sendReceipt(reply: FastifyReply, event: ReceivedEvent): FastifyReply {
  return reply
    .type('application/json; charset=utf-8')
    .header('content-disposition', `attachment; filename="receipt-${event.eventKey.slice(0, 16)}.json"`)
    .serializer(String)
    .send(`${JSON.stringify(writeEventReceipt(event), null, 2)}\n`)
}
