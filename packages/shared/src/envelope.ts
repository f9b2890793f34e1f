import { isUtf8 } from 'node:buffer'
import * as z from 'zod'

export const ENVIRONMENTS = ['live', 'sandbox'] as const
export type Environment = (typeof ENVIRONMENTS)[number]

/** The last moment that a Date holds ("ECMAScript, Time Values"); PostgreSQL goes further. */
const MAX_DATE_MS = 8.64e15

const description = (maxLength: number) => z.string().max(maxLength).optional().catch(undefined)

/**
 * One accepted delivery on its way from ingest to worker, and the data of its job. Nothing in it is parsed, nothing
 * is secret. Names are short because every event carries them through Redis. A worker reads this version and the
 * one before it.
 */
const envelopeSchema = z.object({
  v: z.literal(1),
  env: z.enum(ENVIRONMENTS),
  /** When the request's body was complete, ms since 1970 by the ingest's clock. */
  at: z.int().min(0).max(MAX_DATE_MS),
  /** The delivery id. */
  arrival: z.string().regex(/^[\w-]{1,64}$/),
  /** Address of the client, after trusted proxies. This and what follows only describes: no event fails for it. */
  ip: description(64),
  /** Content-Type, User-Agent and traceparent as received, shortened. */
  type: description(256),
  agent: description(256),
  trace: description(64),
  /** The body's bytes: text where they are UTF-8 without NUL, else base64 in `raw64`. */
  raw: z.string().optional(),
  raw64: z.base64().optional(),
})

type Wire = z.infer<typeof envelopeSchema>

export type Envelope = Omit<Wire, 'arrival'> & {
  /** Unique for this one delivery: it tells a redelivery of IDWise's from a second run of our own job. */
  readonly deliveryId: string
}

/** The text that goes into a job or an inbox row. */
export function writeEnvelope({ deliveryId, ...rest }: Envelope): string {
  return JSON.stringify({ ...rest, arrival: deliveryId } satisfies Wire)
}

/** Splits the body's bytes into the one field of an envelope that carries them unchanged. */
export function encodeRaw(raw: Buffer): Pick<Envelope, 'raw' | 'raw64'> {
  return isUtf8(raw) && !raw.includes(0) ? { raw: raw.toString('utf8') } : { raw64: raw.toString('base64') }
}

export function rawBytes(envelope: Envelope): Buffer {
  return envelope.raw === undefined
    ? Buffer.from(envelope.raw64 ?? '', 'base64')
    : Buffer.from(envelope.raw, 'utf8')
}

/** Undefined if it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Reads a job's data or an inbox row, which anybody with access to Redis can have written.
 *
 * @returns undefined where it is not an envelope of a version that this build knows.
 */
export function readEnvelope(data: unknown): Envelope | undefined {
  const parsed = envelopeSchema.safeParse(data)
  if (!parsed.success) return undefined
  const { arrival, ...rest } = parsed.data
  return (rest.raw === undefined) === (rest.raw64 === undefined)
    ? undefined
    : { ...rest, deliveryId: arrival }
}
