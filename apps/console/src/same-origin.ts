import type { FastifyRequest } from 'fastify'

const LOCAL = /^(localhost|127\.0\.0\.1|\[::1\])$/

/** The origin under which the browser sees this console. */
export function originOf({ protocol, host }: FastifyRequest): string {
  return `${protocol}://${host}`
}

/** Whether what is sent here can be read on the way: a browser keeps the session's cookie only if not. */
export function isPrivate({ protocol, hostname }: FastifyRequest): boolean {
  return protocol === 'https' || LOCAL.test(hostname)
}

/**
 * Whether a request that changes something may come from where it comes from. Browsers say so in `Sec-Fetch-Site`, or
 * in `Origin` where they know the connection as insecure. A request with neither is no browser's, and must carry its
 * own credentials.
 */
export function isFromHere(request: FastifyRequest): boolean {
  const { 'sec-fetch-site': site, origin, authorization } = request.headers
  if (site !== undefined) return site === 'same-origin'
  if (origin !== undefined) return origin === originOf(request)
  return authorization !== undefined
}
