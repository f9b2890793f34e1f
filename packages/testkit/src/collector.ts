import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createGunzip } from 'node:zlib'

/** A span as OTLP has it in JSON, with the attributes as an object. */
export type ReceivedSpan = {
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly events: readonly {
    readonly name: string
    readonly attributes: Readonly<Record<string, unknown>>
  }[]
  /** 2 is an error. */
  readonly status: { readonly code: number }
}

/** A collector of OpenTelemetry on loopback, which takes OTLP as JSON over HTTP. */
export type Collector = AsyncDisposable & {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly endpoint: string
  readonly spans: readonly ReceivedSpan[]
  readonly requests: readonly Received[]
  /** The status of its answers; null: it takes requests and never answers. */
  status: number | null
}
type Received = { readonly path: string; readonly headers: Record<string, unknown>; readonly body: string }

export async function openCollector(status: number | null = 200): Promise<Collector> {
  const requests: Received[] = []
  const spans: ReceivedSpan[] = []
  const server = createServer(async (request, response) => {
    const body = await text(
      request.headers['content-encoding'] === 'gzip' ? request.pipe(createGunzip()) : request,
    )
    requests.push({ path: request.url ?? '', headers: request.headers, body })
    if (collector.status === null) return
    if (collector.status === 200) spans.push(...spansIn(JSON.parse(body)))
    response.writeHead(collector.status, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const collector: Collector = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    status,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return collector
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

type Pairs = readonly { key: string; value: Record<string, unknown> }[]
type Wire = Omit<ReceivedSpan, 'service' | 'attributes' | 'events'> & {
  attributes: Pairs
  events: readonly { name: string; attributes: Pairs }[]
}
type Message = {
  resourceSpans: readonly {
    resource: { attributes: Pairs }
    scopeSpans: readonly { spans: readonly Wire[] }[]
  }[]
}

function spansIn({ resourceSpans }: Message): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans
      .flatMap(({ spans }) => spans)
      .map((span) => ({
        ...span,
        service: String(objectOf(resource.attributes)['service.name']),
        attributes: objectOf(span.attributes),
        events: span.events.map(({ name, attributes }) => ({ name, attributes: objectOf(attributes) })),
      })),
  )
}

function objectOf(pairs: Pairs): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]))
}
