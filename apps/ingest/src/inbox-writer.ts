import { type Db, insertInbox, notifyInbox } from '@sluice/shared/db'
import { type Envelope, writeEnvelope } from '@sluice/shared/envelope'
import { createBatcher, DeadlineError } from '@sluice/shared/runtime'

export type InboxWriter = {
  /** Resolves once Postgres has committed the row; rejects after 1.5 s, or at once where too many wait already. */
  add(event: { jobId: string; envelope: Envelope }): Promise<void>
}

const DEADLINE_MS = 1_500
const MAX_WAITING = 2_000
/** One notification in this span is enough: a woken worker drains until nothing is left. */
const NOTIFY_EVERY_MS = 20
const SPACING_MS = 3
const MAX_BATCH_BYTES = 4_000_000

/** Inserts concurrent events in one statement. */
export function createInboxWriter(db: Db): InboxWriter {
  const notify = createNotifier(db)
  const batcher = createBatcher<{ jobId: string; envelope: string }, void>({
    maxItems: 200,
    maxWeight: MAX_BATCH_BYTES,
    weigh: ({ envelope }) => envelope.length,
    concurrency: 3,
    spacingMs: SPACING_MS,
    deadlineMs: DEADLINE_MS,
    late: () => new DeadlineError(`writing to the inbox took longer than ${DEADLINE_MS} ms`),
    maxWaiting: MAX_WAITING,
    full: () => new Error('too many events wait for the inbox'),
    async run(events) {
      await insertInbox(db.pool, events)
      notify()
      return events.map(() => ({ status: 'fulfilled', value: undefined }))
    },
  })
  return { add: ({ jobId, envelope }) => batcher.add({ jobId, envelope: writeEnvelope(envelope) }) }
}

/**
 * Notifies after the commit and apart from it: a notification inside would take a lock that serialises every commit
 * of the database. One that is lost costs a poll's delay.
 */
function createNotifier(db: Db): () => void {
  let scheduled = false
  return () => {
    if (scheduled) return
    scheduled = true
    setTimeout(() => {
      scheduled = false
      notifyInbox(db.pool).catch(() => {})
    }, NOTIFY_EVERY_MS)
  }
}
