import { randomUUID } from 'node:crypto'
import { type Envelope, rawBytes } from '../envelope.ts'
import { type EventDetails, type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import type { Job } from './event-row.ts'
import { landJobs } from './landing.ts'
import type { Connection, Db } from './pool.ts'

/** Quick, since a comparison is made while events wait. */
const LIMITS = { lockMs: 500, statementMs: 3_000 }
const PLAIN = /^[\w .-]{1,64}$/

/**
 * A made-up delivery like a real one: the same kind, name and decisions, nulls where it has nulls. Its ids and texts
 * are harmless and new, so that what Postgres says of it, it says of every event of this shape.
 */
export type Twin = {
  /** The same for all deliveries that have the same twin. */
  readonly shape: string
  /** Another one of this shape; those with the same `journey` belong to one. */
  make(journey: string): Job
}

/** Any event, for when none is at hand. */
export const ANY_EVENT: Job = {
  jobId: 'any',
  via: 'inbox',
  duplicates: 0,
  replayOf: null,
  envelope: {
    v: 1,
    env: 'live',
    at: 0,
    deliveryId: 'any',
    raw: JSON.stringify({
      event: 'Finished Journey',
      body: { eventId: 'any', journeyId: 'any', referenceNo: 'any', systemDecision: 'Complete' },
    }),
  },
}

export function twinOf({ envelope, via, replayOf }: Job): Twin {
  const event = parseEvent(envelope.raw ?? rawBytes(envelope))
  const described = (['ip', 'type', 'agent', 'trace'] as const).filter((name) => envelope[name])
  const like = likenessOf(event)
  const isText = envelope.raw !== undefined
  return {
    shape: JSON.stringify([envelope.env, via, replayOf !== null, isText, described, like]),
    make(journey) {
      const id = randomUUID()
      const deliveryId = `probe-${id}`
      const text = like ? JSON.stringify(documentOf(like, id, journey)) : `probe ${id}`
      const made: Envelope = {
        v: 1,
        env: envelope.env,
        at: Date.now(),
        deliveryId,
        ...Object.fromEntries(described.map((name) => [name, 'probe'])),
        // A NUL makes bytes of a text.
        ...(isText ? { raw: text } : { raw64: Buffer.from(`${text}\0`).toString('base64') }),
      }
      // No dead letter has this number.
      return {
        jobId: deliveryId,
        envelope: made,
        via,
        duplicates: 0,
        replayOf: replayOf === null ? null : -1,
      }
    },
  }
}

type Likeness = { readonly event: string | null; readonly fields: Readonly<Record<string, unknown>> }

/** Null where the body is no JSON. */
function likenessOf(event: IdwiseEvent): Likeness | null {
  if (event.json === null) return null
  const { eventId, journeyId, referenceNo, systemDecision, manualDecision, finalDecision, details } = event
  const fields: Record<string, unknown> = {
    eventId: eventId && 'probe',
    journeyId: journeyId && 'probe',
    referenceNo: referenceNo && 'probe',
    systemDecision: plain(systemDecision),
    ...(event.finalWithoutManual ? {} : { manualDecision: plain(manualDecision) }),
    finalDecision: plain(finalDecision),
    ...(details && detailsLike(details)),
  }
  // A name that is not known may be the very thing that Postgres refuses.
  return { event: event.kind === 'unrecognised' ? plain(event.event) : event.event, fields }
}

function detailsLike(details: EventDetails): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(details).map(([name, value]) => [
      name,
      Array.isArray(value) ? [] : typeof value === 'string' ? plain(value) : value,
    ]),
  )
}

function plain(text: string | null): string | null {
  return text === null || PLAIN.test(text) ? text : 'probe'
}

function documentOf({ event, fields }: Likeness, id: string, journey: string): unknown {
  const { eventId, journeyId } = fields
  const ids = { eventId: eventId && id, journeyId: journeyId && journey }
  return { event, body: { ...fields, ...ids, probe: id } }
}

/**
 * Lands made-up events of one shape in a transaction that is rolled back: one of a new journey, another one of it, and,
 * for a comparison, the first one again, with the same body and with another.
 *
 * @throws what Postgres refuses it with; nothing has changed, and nobody has been told
 */
export async function probeLanding(
  db: Db,
  twin: Twin,
  { announced, again }: { announced: boolean; again: boolean },
): Promise<void> {
  const done = new Error('rolled back')
  const journey = `probe-${randomUUID()}`
  const first = twin.make(journey)
  const other = twin.make(journey)
  const second = (envelope: Envelope): Job => {
    const jobId = `probe-${randomUUID()}`
    return { ...first, jobId, envelope: { ...envelope, deliveryId: jobId } }
  }
  async function land(connection: Connection): Promise<never> {
    await landJobs(connection, [first], { announced })
    const further = again ? [second(first.envelope), conflicting(second(first.envelope))] : []
    await landJobs(connection, [other, ...further], { announced })
    // What waits for the commit is checked now.
    await connection.query('set constraints all immediate')
    throw done
  }
  await db.landingTransaction(land, LIMITS).catch((error: unknown) => {
    if (error !== done) throw error
  })
}

/** A blank more is another body of the same event; an event that is known by its body is another one then. */
function conflicting(delivery: Job): Job {
  const { envelope } = delivery
  if (envelope.raw === undefined) return delivery
  return { ...delivery, envelope: { ...envelope, raw: `${envelope.raw} ` } }
}
