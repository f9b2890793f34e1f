import { type Db, insertInbox, notifyInbox } from '@sluice/shared/db'
import { type Envelope, writeEnvelope } from '@sluice/shared/envelope'
import { createBatcher, DeadlineError } from '@sluice/shared/runtime'

export type InboxWriter = {
  /** Resolves once Postgres has committed the row; rejects after 1.5 s, or at once if too many jobs wait already. */
  add(job: { jobId: string; envelope: Envelope }): Promise<void>
}

const DEADLINE_MS = 1_500
const MAX_WAITING = 2_000
/** One notification in this time is enough: a worker that wakes up drains the inbox until it is empty. */
const NOTIFY_EVERY_MS = 20
const SPACING_MS = 3
const MAX_BATCH_BYTES = 4_000_000

/** Inserts the jobs of concurrent requests in one statement. */
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
    async run(jobs) {
      await insertInbox(db.pool, jobs)
      notify()
      return jobs.map(() => ({ status: 'fulfilled', value: undefined }))
    },
  })
  return { add: ({ jobId, envelope }) => batcher.add({ jobId, envelope: writeEnvelope(envelope) }) }
}

/**
 * Notifies the workers in a statement after the commit: a notification inside the transaction takes a lock that
 * serialises all commits of the database. A lost notification costs no more than the delay of a poll.
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
