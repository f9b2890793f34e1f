import { type Envelope, encodeRaw } from '@sluice/shared/envelope'
import { identify, parseNames } from '@sluice/shared/idwise'
import type { NewJob } from '@sluice/shared/queue'
import type { RefusedEvent } from './refused-events.ts'

/** An authenticated request with its complete body. */
type WebhookRequest = {
  readonly environment: string
  readonly raw: Buffer
  /** Undefined if a trusted proxy names a text that is no address. */
  readonly sourceAddress: string | undefined
  readonly contentType: string | undefined
  readonly userAgent: string | undefined
  readonly traceparent: string | undefined
}

/**
 * `accepted`: a store has acknowledged the event. `id` is the event key in hex, or the body's SHA-256 if the body has
 * no event id. `unavailable`: no store has acknowledged it.
 */
type Outcome = { readonly kind: 'accepted'; readonly id: string } | { readonly kind: 'unavailable' }

export type Accept = (request: WebhookRequest) => Promise<Outcome>

/** W3C Trace Context, version 00. Any other value is dropped. */
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/
const MAX_HEADER = 256

/** Puts a request into an envelope and hands it to a store. This part knows nothing of journeys and decisions. */
export function createAccept(deps: {
  enqueue(job: NewJob): Promise<unknown>
  /** ms since 1970 */
  now(): number
  nextDeliveryId(): string
  onAccepted?(id: string): void
  onRefused(event: RefusedEvent, error: unknown): void
}): Accept {
  return async (request) => {
    const { environment, raw } = request
    const at = deps.now()
    const encoded = encodeRaw(raw)
    const event = parseNames(encoded.raw ?? raw)
    const identity = identify(environment, raw, event, at)
    const envelope = { ...envelopeOf(request, at, deps.nextDeliveryId()), ...encoded }
    const id = identity.eventKey ?? identity.bodySha256
    try {
      await deps.enqueue({ ...identity, journeyId: event.journeyId, envelope })
    } catch (error) {
      deps.onRefused({ environment, raw: encoded.raw ?? raw, id, at }, error)
      return { kind: 'unavailable' }
    }
    deps.onAccepted?.(id)
    return { kind: 'accepted', id }
  }
}

function envelopeOf(request: WebhookRequest, at: number, deliveryId: string): Envelope {
  const { environment, sourceAddress, contentType, userAgent, traceparent } = request
  return {
    v: 1,
    env: environment,
    at,
    deliveryId,
    ...(sourceAddress && { ip: sourceAddress }),
    ...(contentType && { type: contentType.slice(0, MAX_HEADER) }),
    ...(userAgent && { agent: userAgent.slice(0, MAX_HEADER) }),
    ...(traceparent && TRACEPARENT.test(traceparent) && { trace: traceparent }),
  }
}
