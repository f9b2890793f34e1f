import { randomUUID } from 'node:crypto'
import { createDb, insertInbox } from '@sluice/shared/db'
import { type Envelope, encodeRaw, writeEnvelope } from '@sluice/shared/envelope'
import { identify, parseNames } from '@sluice/shared/idwise'
import { createQueueProducer, type NewJob } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { eventOf } from '../events.ts'

/** Puts events into Sluice's own queue or inbox, as its ingest would, but many at once. */
const { DATABASE_URL = '', REDIS_URL, QUEUE_PREFIX = '', QUEUE_SHARDS } = process.env
const [count = '0', tag = ''] = process.argv.slice(3)
const log = createLog('bench', 'warn')
const AT_ONCE = 400

if (REDIS_URL) {
  const producer = createQueueProducer(
    { url: REDIS_URL, prefix: QUEUE_PREFIX, shards: Number(QUEUE_SHARDS), acks: 0 },
    log,
  )
  await producer.ready(3_000)
  for (let n = 0; n < Number(count); n += AT_ONCE) {
    await Promise.all(jobsFrom(n).map((event) => producer.add(event)))
  }
} else {
  const db = createDb(DATABASE_URL, { max: 2, statementMs: 30_000, log, name: 'bench' })
  for (let n = 0; n < Number(count); n += AT_ONCE) {
    await insertInbox(
      db.pool,
      jobsFrom(n).map(({ jobId, envelope }) => ({ jobId, envelope: writeEnvelope(envelope) })),
    )
  }
}
process.exit(0)

function jobsFrom(first: number): NewJob[] {
  return Array.from({ length: AT_ONCE }, (_, i) => {
    const raw = Buffer.from(JSON.stringify(eventOf(tag, first + i)))
    const names = parseNames(raw)
    const at = Date.now()
    const envelope: Envelope = {
      v: 1,
      env: 'live',
      at,
      deliveryId: randomUUID().slice(0, 16),
      ip: '127.0.0.1',
      type: 'application/json',
      ...encodeRaw(raw),
    }
    return { ...identify('live', raw, names, at), journeyId: names.journeyId, envelope }
  })
}
