import * as z from 'zod'

/** Where spans go, and which events have some. */
export type TraceSettings = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Of the resource, beside those that every process has. */
  readonly attributes: Readonly<Record<string, string>>
  /** From 0 to 1: of the events whose sender does not trace them. */
  readonly ratio: number
}

/** `name=value,name=value`, percent-encoded ("OpenTelemetry, Environment Variables"). */
const pairs = z.string().transform((text, context) => {
  try {
    const given = text.split(',').filter((pair) => pair.trim() !== '')
    return Object.fromEntries(given.map(readPair))
  } catch {
    const message = 'is not a list such as name=value,name=value, with percent-encoded values'
    context.issues.push({ code: 'custom', message, input: undefined })
    return z.NEVER
  }
})

function readPair(pair: string): [string, string] {
  const at = pair.indexOf('=')
  const name = decodeURIComponent(pair.slice(0, Math.max(at, 0)).trim())
  const value = decodeURIComponent(pair.slice(at + 1).trim())
  if (!/^[\w.!#$%&'*+^`|~-]+$/.test(name) || !/^\P{Cc}*$/u.test(value)) throw new Error('no pair')
  return [name, value]
}

/** The settings of traces, named as OpenTelemetry names them. */
export const traceSettings = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .string()
    .refine(
      (text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ''),
      'is not an address such as http://HOST:4318',
    )
    .optional(),
  OTEL_EXPORTER_OTLP_HEADERS: pairs
    .refine(
      (headers) => Object.values(headers).every((value) => /^[ -~]*$/.test(value)),
      'has a value with characters that no header may have',
    )
    .meta({ fromFile: true })
    .optional(),
  OTEL_RESOURCE_ATTRIBUTES: pairs.optional(),
  OTEL_TRACES_RATIO: z
    .string()
    .regex(/^(0|1|0?\.\d+|[01]\.0*)$/, 'is not a number from 0 to 1')
    .transform(Number)
    .default(0.01),
}

/** Undefined without an endpoint: then nothing is traced. */
export function tracesOf(settings: z.output<z.ZodObject<typeof traceSettings>>): TraceSettings | undefined {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint } = settings
  if (endpoint === undefined) return undefined
  const url = new URL(endpoint)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`
  return {
    url: url.href,
    headers: settings.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    attributes: settings.OTEL_RESOURCE_ATTRIBUTES ?? {},
    ratio: settings.OTEL_TRACES_RATIO,
  }
}
