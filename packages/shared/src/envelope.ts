import { isUtf8 } from 'node:buffer'
import * as z from 'zod'
import { ENVIRONMENT_NAME } from './runtime/sources.ts'

/** The last moment that a Date holds ("ECMAScript, Time Values"). PostgreSQL goes further. */
const MAX_DATE_MS = 8.64e15

const description = (maxLength: number) => z.string().max(maxLength).optional().catch(undefined)

/**
 * One accepted delivery on its way from the ingest to a worker: the data of its job, or its inbox row. Nothing in it
 * is parsed, and nothing is secret. Names are short, since every job has them in Redis. A worker reads this version
 * and the one before it.
 */
const envelopeSchema = z.object({
  v: z.literal(1),
  /** The name of its source. Any name is read, so that a worker need not know the sources of the ingests. */
  env: z.string().regex(ENVIRONMENT_NAME),
  /** When the request's body was complete, ms since 1970 by the ingest's clock. */
  at: z.int().min(0).max(MAX_DATE_MS),
  /** The delivery id, under its older name. */
  arrival: z.string().regex(/^[\w-]{1,64}$/),
  /** The client's address, behind trusted proxies. It and the next fields only describe: no event fails for them. */
  ip: description(64),
  /** Content-Type, Content-Encoding, User-Agent and traceparent as received, shortened. */
  type: description(256),
  encoding: description(64),
  agent: description(256),
  trace: description(64),
  /** The body's bytes: as text if they are UTF-8 without NUL, else as base64 in `raw64`. */
  raw: z.string().optional(),
  raw64: z.base64().optional(),
})

type Wire = z.infer<typeof envelopeSchema>

export type Envelope = Omit<Wire, 'arrival'> & {
  /** Unique for one delivery: it distinguishes a redelivery by IDWise from a second run of the same job. */
  readonly deliveryId: string
}

/** The text of a job or an inbox row. */
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

/** The error of a job or a row from which no envelope can be read. */
export const NO_ENVELOPE = 'It carries no envelope that this version knows.'

/**
 * Reads a job's data or an inbox row. Anybody with access to Redis can have written it.
 *
 * @returns undefined if it is no envelope of a version that this build knows.
 */
export function readEnvelope(data: unknown): Envelope | undefined {
  const parsed = envelopeSchema.safeParse(data)
  if (!parsed.success) return undefined
  const { arrival, ...rest } = parsed.data
  return (rest.raw === undefined) === (rest.raw64 === undefined)
    ? undefined
    : { ...rest, deliveryId: arrival }
}
