import type { FastifyReply, FastifyRequest } from 'fastify'

const COOKIE = '__Host-sluice-visit'
/** Who opens no page for so long was away. */
const AWAY_MS = 30 * 60_000
/** So often at most the cookie is written. */
const NOTE_MS = 60_000
const LONGEST_MS = 35 * 86_400_000

/** Times are ms since 1970. What happened after `since` is news to the person; `last` is the last page before now. */
type Visit = { readonly since: number; readonly last: number }

/** Since when the person has been away, or has not marked the news as read. Undefined for a first visit. */
export function awaySince(request: FastifyRequest, now = Date.now()): Date | undefined {
  const visit = read(request, now)
  return visit && new Date(visit.since)
}

/** Notes that the person opens a page, in a cookie of the browser: no store is needed. */
export function noteVisit(request: FastifyRequest, reply: FastifyReply, now = Date.now()): void {
  if (request.user?.by === 'basic') return
  const visit = read(request, now)
  if (visit && now - visit.last < NOTE_MS) return
  write(request, reply, { since: visit?.since ?? now, last: now })
}

export function markRead(request: FastifyRequest, reply: FastifyReply, now = Date.now()): void {
  write(request, reply, { since: now, last: now })
}

function read(request: FastifyRequest, now: number): Visit | undefined {
  const [, since = '', last = '', name = ''] =
    /^(\d{1,14})\.(\d{1,14})\.([\w-]*)$/.exec(request.cookies[COOKIE] ?? '') ?? []
  // Another person may use the same browser.
  if (since === '' || name !== nameOf(request)) return undefined
  const lastAt = Math.min(Number(last), now)
  const isNewVisit = now - lastAt > AWAY_MS
  const from = isNewVisit ? lastAt : Number(since)
  return { since: Math.max(now - LONGEST_MS, Math.min(from, now)), last: lastAt }
}

function write(request: FastifyRequest, reply: FastifyReply, { since, last }: Visit): void {
  reply.setCookie(COOKIE, `${since}.${last}.${nameOf(request)}`, {
    path: '/',
    httpOnly: true,
    secure: true,
    sameSite: 'strict',
    maxAge: LONGEST_MS / 1_000,
  })
}

function nameOf({ user }: FastifyRequest): string {
  return Buffer.from(user?.name ?? '').toString('base64url')
}
