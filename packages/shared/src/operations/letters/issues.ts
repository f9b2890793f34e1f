import type * as z from 'zod'

/** What is wrong with what a person gave, a line for each field. */
export function describeIssues(error: z.core.$ZodError): string[] {
  return error.issues.map(({ path, message }) => (path.length > 0 ? `${path.join('.')} ${message}` : message))
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'number',
  int: 'whole number',
  boolean: 'yes or no',
  array: 'list',
  object: 'JSON object',
  date: 'time',
}
const FORMATS: Readonly<Record<string, string>> = {
  datetime: 'is no time such as 2026-11-03T14:05:00Z',
  safeint: 'is too large a number',
}
const UNITS: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' }

/**
 * Says what is wrong with a value where its schema has no words of its own. Give it to `safeParse` as `error`: zod's
 * own messages are for programmers.
 */
export const inWords: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `is no ${KINDS[issue.expected] ?? 'possible value'}`
    case 'too_small':
      if (issue.minimum === 1 && issue.origin in UNITS) return 'is empty'
      return `is less than ${issue.minimum}${UNITS[issue.origin] ?? ''}`
    case 'too_big':
      return `is more than ${Number(issue.maximum).toLocaleString('en')}${UNITS[issue.origin] ?? ''}`
    case 'invalid_value':
      return `is none of ${issue.values.filter((value) => value !== '').join(', ')}`
    case 'unrecognized_keys':
      return `${issue.keys.join(', ')} ${issue.keys.length === 1 ? 'is' : 'are'} not known here`
    case 'invalid_format':
      return FORMATS[issue.format] ?? 'has characters that are not possible here'
    default:
      return 'is not possible here'
  }
}
