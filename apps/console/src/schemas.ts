import * as z from 'zod'

const id = z.coerce.number<string>().int().min(1).max(Number.MAX_SAFE_INTEGER)

/** The number in an address. */
export const idParams = z.object({ id })

/** Where a page of a list begins: the last number of the page before. */
export const pageQuery = z.object({ before: id.optional() })

/** The same with the length of the page, for the API. */
export const apiPageQuery = pageQuery.extend({
  limit: z.coerce.number<string>().int().min(1).max(100).default(50),
})

/** What a filter may hold. */
export const shortText = z.string().max(200).optional()

/**
 * A page of a list of which one more than `limit` was asked for.
 *
 * @returns its items, and the number with which the next page begins if there is one
 */
export function pageOf<Item extends { readonly id: number }>(
  found: readonly Item[],
  limit: number,
): { items: Item[]; next: number | undefined } {
  const items = found.slice(0, limit)
  return { items, next: found.length > limit ? items.at(-1)?.id : undefined }
}
