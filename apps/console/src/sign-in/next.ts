import * as z from 'zod'

/** Where a person wanted to go before the sign-in. */
export const NEXT = z.string().max(4_000).optional()

/** Only a path of this console, in characters that a header takes: no link leads elsewhere after the sign-in. */
export function pathOf(next: string | undefined): string {
  return next !== undefined && /^\/(?![/\\])[!-[\]-~]*$/.test(next) ? next : '/'
}
