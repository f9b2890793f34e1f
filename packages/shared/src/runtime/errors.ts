/** An error for the operator: one line with the problem and its remedy. It is printed without a stack. */
export class UserError extends Error {
  override name = 'UserError'
}

const MAX_MESSAGE = 500

/**
 * The parts of an error that may be logged or stored: its class, its code and a shortened message. Drizzle wraps the
 * error of the driver, and its message holds every parameter, the payload included. So the message is that of the
 * innermost cause, and it is cut at `params:`.
 *
 * @returns `code` is a SQLSTATE, the name of a Node.js errno or a code of a library; `message` has at most 500
 * characters
 */
export function describeError(error: unknown): { name: string; code?: string; message: string } {
  const inner = rootCause(error)
  const code = errorCode(error)
  const text = inner instanceof Error ? inner.message : String(inner)
  const message = text.replace(/\s*params:[\s\S]*$/, '').slice(0, MAX_MESSAGE)
  return { name: inner instanceof Error ? inner.name : typeof inner, ...(code && { code }), message }
}

/** The first `code` in the chain of causes that is a string. */
export function errorCode(error: unknown): string | undefined {
  for (let e = error; typeof e === 'object' && e !== null; e = (e as { cause?: unknown }).cause) {
    const code = (e as { code?: unknown }).code
    if (typeof code === 'string') return code
  }
  return undefined
}

/** The innermost cause: the error of the driver. */
export function rootCause(error: unknown): unknown {
  let inner = error
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause
  // A refused connection to a name with several addresses arrives as an AggregateError without a message.
  if (inner instanceof AggregateError && inner.errors.length > 0) return inner.errors[0]
  return inner
}
