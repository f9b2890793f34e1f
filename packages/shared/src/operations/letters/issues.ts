import type * as z from 'zod'

/** What is wrong with what a person gave, a line for each field. */
export function describeIssues(error: z.ZodError): string[] {
  return error.issues.map(({ path, message }) =>
    path.length > 0 ? `${path.join('.')}: ${message}` : message,
  )
}
