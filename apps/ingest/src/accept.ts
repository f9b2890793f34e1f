import { type Envelope, type Environment, encodeRaw } from '@sluice/shared/envelope'
import { identify, parseNames } from '@sluice/shared/idwise'
import type { NewJob } from '@sluice/shared/queue'

/** An authenticated request whose body is complete. */
export type WebhookRequest = {
  readonly environment: Environment
  readonly raw: Buffer
  /** Undefined where a trusted proxy names something that is no address. */
  readonly sourceAddress: string | undefined
  readonly contentType: string | undefined
  readonly userAgent: string | undefined
  readonly traceparent: string | undefined
}

/**
 * `accepted`: a store has acknowledged the event; `id` is the event key in hex, or the body's SHA-256 where the body
 * carries no event id. `unavailable`: no store has.
 */
export type Outcome =
  | { readonly kind: 'accepted'; readonly id: string }
  | { readonly kind: 'unavailable'; readonly retryAfterSeconds: number }

export type Accept = (delivery: WebhookRequest) => Promise<Outcome>

const RETRY_AFTER_SECONDS = 10
/** W3C Trace Context, version 00; anything else is dropped. */
const TRACEPARENT = /^[\da-f]{2}-[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/
const MAX_HEADER = 256

/** Builds the envelope and hands it to a store. It knows nothing of journeys or decisions. */
export function createAccept(deps: {
  enqueue(event: NewJob): Promise<unknown>
  now(): number
  nextDeliveryId(): string
  onRefused(error: unknown): void
}): Accept {
  return async (delivery) => {
    const { environment, raw } = delivery
    const at = deps.now()
    const encoded = encodeRaw(raw)
    const event = parseNames(encoded.raw ?? raw)
    const identity = identify(environment, raw, event, at)
    const envelope = { ...envelopeOf(delivery, at, deps.nextDeliveryId()), ...encoded }
    try {
      await deps.enqueue({ ...identity, journeyId: event.journeyId, envelope })
    } catch (error) {
      deps.onRefused(error)
      return { kind: 'unavailable', retryAfterSeconds: RETRY_AFTER_SECONDS }
    }
    return { kind: 'accepted', id: identity.eventKey ?? identity.bodySha256 }
  }
}

function envelopeOf(delivery: WebhookRequest, at: number, deliveryId: string): Envelope {
  const { environment, sourceAddress, contentType, userAgent, traceparent } = delivery
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
