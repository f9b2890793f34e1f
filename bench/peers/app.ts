import { hash, timingSafeEqual } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { sha256 } from '@sluice/shared/idwise'
import { LIVE_TOKEN } from '@sluice/testkit/settings'
import Fastify from 'fastify'
import type { BenchEvent } from '../events.ts'

/** The server of every peer: Fastify with the same credential as Sluice, which answers when the event is stored. */
export async function servePeer(store: (event: BenchEvent) => Promise<unknown> | undefined): Promise<void> {
  const app = Fastify({ bodyLimit: 256 * 1024 })
  const expected = sha256(`Bearer ${LIVE_TOKEN}`)
  app.addHook('onRequest', (request, reply, done) => {
    if (timingSafeEqual(sha256(request.headers.authorization ?? ''), expected)) done()
    else void reply.code(401).send({ error: 'unauthorised' })
  })
  app.post<{ Body: BenchEvent }>('/webhooks/idwise/live', async (request) => {
    await store(request.body)
    return { id: request.body.body.eventId }
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  console.log(`listens on ${(app.server.address() as AddressInfo).port}`)
}

/** A job id. The id of the sender could collide with the keys of a queue. */
export function jobIdOf(event: BenchEvent): string {
  return hash('sha256', `${event.event} ${event.body.eventId}`)
}

const INSERT = `insert into bench_events (event_id, event, journey_id, reference_no, system_decision, body)
  values ($1, $2, $3, $4, $5, $6) on conflict do nothing`

/** One event as one row, as a prepared statement. */
export function insertOf(event: BenchEvent): { name: string; text: string; values: unknown[] } {
  const { eventId, journeyId, referenceNo, systemDecision } = event.body
  return {
    name: 'insert',
    text: INSERT,
    values: [eventId, event.event, journeyId, referenceNo, systemDecision, JSON.stringify(event)],
  }
}

const INSERT_MANY = `insert into bench_events (event_id, event, journey_id, reference_no, system_decision, body)
  select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[]) on conflict do nothing`

/** Many events in one statement. */
export function insertManyOf(events: readonly BenchEvent[]): {
  name: string
  text: string
  values: unknown[]
} {
  return {
    name: 'insert_many',
    text: INSERT_MANY,
    values: [
      events.map(({ body }) => body.eventId),
      events.map(({ event }) => event),
      events.map(({ body }) => body.journeyId),
      events.map(({ body }) => body.referenceNo),
      events.map(({ body }) => body.systemDecision),
      events.map((event) => JSON.stringify(event)),
    ],
  }
}
