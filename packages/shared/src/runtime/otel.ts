// The only file that imports OpenTelemetry. It is imported itself only if traces are exported.
import { hostname } from 'node:os'
import {
  type Attributes,
  type Context,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { withDeadline } from './backoff.ts'
import { describeError } from './errors.ts'
import type { Log } from './log.ts'
import { release } from './release.ts'
import type { TraceSettings } from './trace-settings.ts'

/** Times are those of `performance.now()`. */
type Beginning = {
  readonly name: string
  readonly kind: keyof typeof KINDS
  readonly from: number
  /** The `traceparent` from which it goes on; without one it begins a trace. */
  readonly parent: string | undefined
  /** `traceparent`s. */
  readonly links?: readonly string[]
}
type End = {
  readonly to: number
  readonly attributes: Attributes
  /** How often what has failed, by its code or class: a message may name a person. */
  readonly errors?: ReadonlyMap<string, number>
}

/** A span that was started. */
export type Span = {
  readonly traceparent: string
  addChild(name: string, from: number, to: number): void
  end(end: End): void
}

export type Tracer = AsyncDisposable & { start(beginning: Beginning): Span }

const KINDS = { server: SpanKind.SERVER, consumer: SpanKind.CONSUMER }
/** More than a batch of a worker has events. The default is 128. */
const MAX_LINKS = 1_000
const MAX_WAITING_SPANS = 2_048
/** At once: exports time out only while nothing comes, so a collector that trickles holds them for long. */
const MAX_EXPORTS = 6
/** An export costs some 2 ms of CPU, whatever it carries. */
const EXPORT_EVERY_MS = 5_000
/** Of an export with its retries. Further spans wait meanwhile, and beyond the limit they are dropped. */
const EXPORT_LIMIT_MS = 5_000
const CLOSE_LIMIT_MS = 3_000

/** Exports spans by OTLP over HTTP, in batches. Whether to make a span is decided by the caller: all are exported. */
export function openTracer(
  { url, headers, attributes }: TraceSettings,
  { service, log }: { service: string; log: Log },
): Tracer {
  const exporter = new OTLPTraceExporter({
    url,
    headers: { ...headers },
    timeoutMillis: EXPORT_LIMIT_MS,
    concurrencyLimit: MAX_EXPORTS,
  })
  const provider = new TracerProvider({
    sampler: new AlwaysOnSampler(),
    spanLimits: { linkCountLimit: MAX_LINKS },
    resource: defaultResource().merge(
      resourceFromAttributes({
        'service.name': service,
        'service.version': release(),
        'host.name': hostname(),
        'process.pid': process.pid,
        ...attributes,
      }),
    ),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: telling(exporter, log),
        maxQueueSize: MAX_WAITING_SPANS,
        scheduledDelayMillis: EXPORT_EVERY_MS,
        exportTimeoutMillis: 2 * EXPORT_LIMIT_MS,
      }),
    ],
  })
  const tracer = provider.getTracer('sluice', release())

  return {
    start({ name, kind, from, parent, links = [] }) {
      const linked = links.map((link) => ({ context: contextOf(link) }))
      const options = { kind: KINDS[kind], startTime: from, links: linked }
      const span = tracer.startSpan(name, options, parent ? below(parent) : ROOT_CONTEXT)
      const { traceId, spanId } = span.spanContext()
      const inside = trace.setSpan(ROOT_CONTEXT, span)
      return {
        traceparent: `00-${traceId}-${spanId}-01`,
        addChild: (childName, startTime, to) => tracer.startSpan(childName, { startTime }, inside).end(to),
        end({ to, attributes: given, errors = new Map<string, number>() }) {
          span.setAttributes(given)
          for (const [type, count] of errors) {
            span.addEvent('exception', { 'exception.type': type, 'sluice.count': count }, to)
            span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR })
          }
          span.end(to)
        },
      }
    },
    async [Symbol.asyncDispose]() {
      await withDeadline(provider.shutdown(), CLOSE_LIMIT_MS, 'exporting the last spans').catch((error) => {
        log.warn({ error: describeError(error) }, 'the last spans were not exported')
      })
    },
  }
}

/** `traceparent` is well formed. */
function contextOf(traceparent: string) {
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-')
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
}

function below(traceparent: string): Context {
  return trace.setSpanContext(ROOT_CONTEXT, contextOf(traceparent))
}

/** Logs when exports begin to fail, and when they work again. */
function telling(exporter: SpanExporter, log: Log): SpanExporter {
  let fails = false
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const { error } = result
        if (error && !fails)
          log.warn({ error: describeError(error) }, 'spans cannot be exported, and are dropped')
        if (!error && fails) log.info('spans are exported again')
        fails = error !== undefined
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
  }
}
