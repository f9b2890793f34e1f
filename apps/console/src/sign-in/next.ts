import * as z from 'zod'

/** Where a person wanted to go before the sign-in. */
export const NEXT = z.string().max(4_000).optional()

/** Only a path of this console, so that no link leads somebody elsewhere after the sign-in. */
export function pathOf(next: string | undefined): string {
  return next !== undefined && /^\/(?![/\\])[^\\\s]*$/.test(next) ? next : '/'
}
