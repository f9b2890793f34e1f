/**
 * An error whose message is written for the person at the keyboard: what is wrong and what to do about it,
 * in one line. It is printed without a stack.
 */
export class UserError extends Error {
  override name = 'UserError'
}

const MAX_MESSAGE = 500

/**
 * What may be logged or stored about an error: its class, its code and a shortened message. Drizzle wraps the
 * driver's error and puts every parameter, the payload included, into its own message, so the innermost cause
 * speaks and anything after `params:` is cut.
 *
 * @returns `code` is a SQLSTATE, a Node.js errno name or a library's own code; `message` has at most 500 characters.
 */
export function describeError(error: unknown): { name: string; code?: string; message: string } {
  const inner = rootCause(error)
  const code = errorCode(error)
  const text = inner instanceof Error ? inner.message : String(inner)
  const message = text.replace(/\s*params:[\s\S]*$/, '').slice(0, MAX_MESSAGE)
  return { name: inner instanceof Error ? inner.name : typeof inner, ...(code && { code }), message }
}

/** The first string `code` found on the error or down its chain of causes. */
export function errorCode(error: unknown): string | undefined {
  for (let e = error; typeof e === 'object' && e !== null; e = (e as { cause?: unknown }).cause) {
    const code = (e as { code?: unknown }).code
    if (typeof code === 'string') return code
  }
  return undefined
}

function rootCause(error: unknown): unknown {
  let inner = error
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause
  // A refused connection to a name with several addresses arrives as an AggregateError without a message.
  if (inner instanceof AggregateError && inner.errors.length > 0) return inner.errors[0]
  return inner
}
