import { type Envelope, encodeRaw } from '@sluice/shared/envelope'
import { type EventKind, identify, parseNames } from '@sluice/shared/idwise'
import type { NewJob } from '@sluice/shared/queue'
import { isTraceparent, type Traces } from '@sluice/shared/runtime'
import type { RefusedEvent } from './refused-events.ts'

/** An authenticated request with its complete body. */
type WebhookRequest = {
  readonly environment: string
  readonly raw: Buffer
  /** Undefined if a trusted proxy names a text that is no address. */
  readonly sourceAddress: string | undefined
  readonly contentType: string | undefined
  readonly contentEncoding: string | undefined
  readonly userAgent: string | undefined
  readonly traceparent: string | undefined
}

/**
 * `accepted`: a store has acknowledged the event. `id` is the event key in hex, or the body's SHA-256 if the body has
 * no event id. `unavailable`: no store has acknowledged it.
 */
type Outcome =
  | { readonly kind: 'accepted'; readonly id: string; readonly eventKind: EventKind }
  | { readonly kind: 'unavailable' }

export type Accept = (request: WebhookRequest) => Promise<Outcome>

const MAX_HEADER = 256
const MAX_ENCODING = 64
const SPAN = 'receive event'

/** Puts a request into an envelope and hands it to a store. This part knows nothing of journeys and decisions. */
export function createAccept(deps: {
  /** @returns which store has it */
  enqueue(job: NewJob): Promise<string>
  /** ms since 1970 */
  now(): number
  nextDeliveryId(): string
  onAccepted?(id: string): void
  onRefused(event: RefusedEvent, error: unknown, traceparent: string | undefined): void
  /** Undefined if nothing is traced. */
  traces: Traces | undefined
}): Accept {
  const { traces } = deps
  return async (request) => {
    const span = traces?.sample(SPAN, request.traceparent)
    const { environment, raw } = request
    const at = deps.now()
    const encoded = encodeRaw(raw)
    const event = parseNames(encoded.raw ?? raw)
    const identity = identify(environment, raw, event, at)
    const traceparent = span?.traceparent ?? request.traceparent
    const envelope = { ...envelopeOf(request, traceparent, at, deps.nextDeliveryId()), ...encoded }
    const id = identity.eventKey ?? identity.bodySha256
    let via: string
    try {
      via = await deps.enqueue({ ...identity, journeyId: event.journeyId, envelope })
    } catch (error) {
      const failed = span ?? traces?.record(SPAN, request.traceparent, deps.now() - at)
      failed?.end(attributesOf(environment, 503), error)
      deps.onRefused({ environment, raw: encoded.raw ?? raw, id, at }, error, failed?.traceparent)
      return { kind: 'unavailable' }
    }
    span?.end({ ...attributesOf(environment, 200), 'sluice.via': via })
    deps.onAccepted?.(id)
    return { kind: 'accepted', id, eventKind: event.kind }
  }
}

/** `status`: that of the answer. */
function attributesOf(environment: string, status: number) {
  return { 'sluice.environment': environment, 'http.response.status_code': status }
}

function envelopeOf(
  request: WebhookRequest,
  traceparent: string | undefined,
  at: number,
  deliveryId: string,
): Envelope {
  const { environment, sourceAddress, contentType, contentEncoding, userAgent } = request
  return {
    v: 1,
    env: environment,
    at,
    deliveryId,
    ...(sourceAddress && { ip: sourceAddress }),
    ...(contentType && { type: contentType.slice(0, MAX_HEADER) }),
    ...(contentEncoding && { encoding: contentEncoding.slice(0, MAX_ENCODING) }),
    ...(userAgent && { agent: userAgent.slice(0, MAX_HEADER) }),
    ...(traceparent && isTraceparent(traceparent) && { trace: traceparent }),
  }
}
