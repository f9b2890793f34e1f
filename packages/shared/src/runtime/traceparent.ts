/** W3C Trace Context, version 00: version, trace id, id of the parent span, flags. */
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/

export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text)
}

/** Whether whoever made it records the trace: the lowest bit of the flags. */
export function isSampled(traceparent: string | undefined): traceparent is string {
  return (
    traceparent !== undefined &&
    isTraceparent(traceparent) &&
    (Number.parseInt(traceparent.slice(-1), 16) & 1) === 1
  )
}

/** For the fields of a log line; nothing if the trace is not sampled. */
export function traceField(traceparent: string | undefined): { trace_id?: string } {
  return isSampled(traceparent) ? { trace_id: traceparent.slice(3, 35) } : {}
}
