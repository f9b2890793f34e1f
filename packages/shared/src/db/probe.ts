import { randomUUID } from 'node:crypto'
import { type Envelope, rawBytes } from '../envelope.ts'
import { type EventDetails, type IdwiseEvent, parseEvent } from '../idwise/event.ts'
import type { Job } from './event-row.ts'
import { landJobs } from './landing.ts'
import type { Connection, Db } from './pool.ts'

/** Short, since events wait for the answer. */
const LIMITS = { lockMs: 500, statementMs: 3_000 }
const PLAIN = /^[\w .-]{1,64}$/

/** For one trial after the other: what refuses only some references must not meet every probe event. */
const REFERENCES: readonly ((id: string) => string)[] = [
  () => 'probe',
  (id) => String(Number.parseInt(id.slice(0, 8), 16) + 1e9),
  (id) => `REF-${id.slice(0, 8).toUpperCase()}`,
]

/**
 * What events have in common that concern Postgres alike: kind, name and decisions, and which fields are null. Probe
 * events of a shape have ids and texts that are harmless and new. So Postgres refuses a probe event only if it would
 * refuse every event of the shape.
 */
export type EventShape = {
  readonly key: string
  /** The name of the event, which is no secret; null if the body is no JSON. */
  readonly event: string | null
  /** Makes a probe event up, which belongs to the given journey. `trial`: events of other trials look different. */
  probeEvent(journey: string, trial: number): Job
}

/** Stands for every event when there is none to take a shape from. */
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

export function shapeOf({ envelope, via, replayOf }: Job): EventShape {
  const event = parseEvent(envelope.raw ?? rawBytes(envelope))
  const described = (['ip', 'type', 'agent', 'trace'] as const).filter((name) => envelope[name])
  const like = likenessOf(event)
  const isText = envelope.raw !== undefined
  return {
    key: JSON.stringify([envelope.env, via, replayOf !== null, isText, described, like]),
    event: like?.event ?? null,
    probeEvent(journey, trial) {
      const id = randomUUID()
      const deliveryId = `probe-${id}`
      const text = like ? JSON.stringify(documentOf(like, { id, journey, trial })) : `probe ${id}`
      const made: Envelope = {
        v: 1,
        env: envelope.env,
        at: Date.now(),
        deliveryId,
        ...Object.fromEntries(described.map((name) => [name, 'probe'])),
        // With a NUL it is no text, but bytes.
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

/** Null if the body is no JSON. */
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
  // An unknown name is kept: it may be what Postgres refuses.
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

function documentOf(
  { event, fields }: Likeness,
  { id, journey, trial }: { id: string; journey: string; trial: number },
): unknown {
  const { eventId, journeyId, referenceNo } = fields
  const reference = REFERENCES[trial % REFERENCES.length]?.(id)
  const ids = {
    eventId: eventId && id,
    journeyId: journeyId && journey,
    referenceNo: referenceNo && reference,
  }
  return { event, body: { ...fields, ...ids, probe: id } }
}

/**
 * Lands probe events of one shape in a transaction that is rolled back: one of a new journey and another one of the
 * same journey.
 *
 * @param options.again lands the first one again as well, with the same body and with another one
 * @param options.trial the probe events of another trial have references that look otherwise
 * @throws what Postgres refuses them with; nothing has changed, and nothing was announced
 */
export async function probeLanding(
  db: Db,
  shape: EventShape,
  { announced, again, trial = 0 }: { announced: boolean; again: boolean; trial?: number },
): Promise<void> {
  const done = new Error('rolled back')
  const journey = trial === 0 ? `probe-${randomUUID()}` : randomUUID()
  const first = shape.probeEvent(journey, trial)
  const other = shape.probeEvent(journey, trial)
  const second = (envelope: Envelope): Job => {
    const jobId = `probe-${randomUUID()}`
    return { ...first, jobId, envelope: { ...envelope, deliveryId: jobId } }
  }
  async function land(connection: Connection): Promise<never> {
    await landJobs(connection, [first], { announced })
    const further = again ? [second(first.envelope), conflicting(second(first.envelope))] : []
    await landJobs(connection, [other, ...further], { announced })
    // Checks now what Postgres would check at the commit.
    await connection.query('set constraints all immediate')
    throw done
  }
  await db.landingTransaction(land, LIMITS).catch((error: unknown) => {
    if (error !== done) throw error
  })
}

/** One blank more makes another body of the same event. An event without id becomes another event. */
function conflicting(job: Job): Job {
  const { envelope } = job
  if (envelope.raw === undefined) return job
  return { ...job, envelope: { ...envelope, raw: `${envelope.raw} ` } }
}
