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
