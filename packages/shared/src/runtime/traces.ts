import { describeError } from './errors.ts'
import type { Log } from './log.ts'
import type { Span, Tracer } from './otel.ts'
import type { TraceSettings } from './trace-settings.ts'
import { isSampled, isTraceparent } from './traceparent.ts'

type Attributes = Readonly<Record<string, string | number>>

/** Of one event that is traced. */
type EventSpan = {
  /** For those who go on with the event. */
  readonly traceparent: string
  end(attributes: Attributes, error?: unknown): void
}

/**
 * What one batch did, and which of its events are traced. It becomes a span when it ends, if any of them is, or if
 * something has failed.
 */
export type BatchTrace = {
  /** Each of its events, with its trace. */
  add(traceparent: string | undefined): void
  failed(error: unknown): void
  /** Ends the step before. */
  step(name: string): void
  end(attributes: Attributes): void
}

/**
 * Spans of sampled events, and of everything that fails. Whether there is a span is decided here, so that an event
 * without one costs a comparison.
 */
export type Traces = AsyncDisposable & {
  /** @returns undefined for an event that is not sampled */
  sample(name: string, traceparent: string | undefined): EventSpan | undefined
  /** For an event that has failed. It began `sinceMs` ago. */
  record(name: string, traceparent: string | undefined, sinceMs: number): EventSpan
  batch(name: string): BatchTrace
}

/**
 * Loads OpenTelemetry only if there is somewhere to export to.
 *
 * @param options.service the name of the process in the traces
 * @returns undefined without settings. Disposing exports the last spans, for 3 s at most.
 */
export async function startTraces(
  settings: TraceSettings | undefined,
  options: { service: string; log: Log },
): Promise<Traces | undefined> {
  if (!settings) return undefined
  const { openTracer } = await import('./otel.ts')
  const tracer = openTracer(settings, options)
  const { ratio } = settings
  const start = (name: string, traceparent: string | undefined, from: number) =>
    eventSpan(
      tracer.start({
        name,
        kind: 'server',
        from,
        parent: traceparent !== undefined && isTraceparent(traceparent) ? traceparent : undefined,
      }),
    )
  return {
    sample: (name, traceparent) =>
      isSampled(traceparent) || Math.random() < ratio
        ? start(name, traceparent, performance.now())
        : undefined,
    record: (name, traceparent, sinceMs) =>
      start(name, traceparent, performance.now() - Math.max(0, sinceMs)),
    batch: (name) => createBatchTrace(tracer, name),
    [Symbol.asyncDispose]: () => tracer[Symbol.asyncDispose](),
  }
}

function eventSpan(span: Span): EventSpan {
  return {
    traceparent: span.traceparent,
    end(attributes, error) {
      const errors = error === undefined ? {} : { errors: new Map([[typeOf(error), 1]]) }
      span.end({ to: performance.now(), attributes, ...errors })
    },
  }
}

/** It goes on from its first traced event, so that a single one has a whole trace, and links to all of them. */
function createBatchTrace(tracer: Tracer, name: string): BatchTrace {
  let events = 0
  const links: string[] = []
  const errors = new Map<string, number>()
  const steps: { readonly name: string; readonly from: number }[] = []
  return {
    add(traceparent) {
      events++
      if (isSampled(traceparent)) links.push(traceparent)
    },
    failed(error) {
      const type = typeOf(error)
      errors.set(type, (errors.get(type) ?? 0) + 1)
    },
    step(step) {
      steps.push({ name: step, from: performance.now() })
    },
    end(attributes) {
      if (links.length + errors.size === 0) return
      const to = performance.now()
      const from = steps[0]?.from ?? to
      const span = tracer.start({ name, kind: 'consumer', from, parent: links[0], links })
      for (const [index, step] of steps.entries()) {
        span.addChild(step.name, step.from, steps[index + 1]?.from ?? to)
      }
      span.end({ to, attributes: { ...attributes, 'messaging.batch.message_count': events }, errors })
    },
  }
}

function typeOf(error: unknown): string {
  const { code, name } = describeError(error)
  return code ?? name
}
