import * as z from 'zod'

/** A time in a reply. */
export const time = z.string().describe('ISO 8601, UTC')

/** A number that is counted up to a bound. */
export const amount = z.object({ count: z.number(), isMore: z.boolean() })

export function isoOrNull(at: Date | null): string | null {
  return at?.toISOString() ?? null
}

/** The address of the next page: that of this one, from another cursor. */
export function nextPath(url: string, before: number | undefined): string | null {
  if (before === undefined) return null
  const [path = '', ...given] = url.split('?')
  const query = new URLSearchParams(given.join('?'))
  query.set('before', String(before))
  return `${path}?${query}`
}
