import type { NewJob, QueueProducer } from '@sluice/shared/queue'
import { describeError, failpoint, type Log, type StoreName, traceField } from '@sluice/shared/runtime'
import type { InboxWriter } from './inbox-writer.ts'

/** Resolves to the store that has acknowledged the job; rejects if none did. */
type Enqueue = (job: NewJob) => Promise<'redis' | 'inbox'>

/**
 * Adds to the queue; to the inbox if the job's shard of the queue fails, or there is no queue. An add that timed out
 * may have happened all the same: then both stores have the event, and it lands once because of its key.
 */
export function createEnqueue(deps: {
  queue: QueueProducer | undefined
  /** True for a store that answers but may lose events: it gets none, even if there is no other store. */
  blocksUse(store: StoreName): boolean
  inbox: InboxWriter
  enqueued(via: 'redis' | 'inbox'): void
  log: Log
}): Enqueue {
  const { queue, inbox, log } = deps
  return async (job) => {
    failpoint('ingest-before-add')
    if (queue && !deps.blocksUse('Redis')) {
      try {
        await queue.add(job)
        failpoint('ingest-after-add')
        deps.enqueued('redis')
        return 'redis'
      } catch (error) {
        log.debug({ error: describeError(error), ...traceField(job.envelope.trace) }, 'not enqueued in Redis')
      }
    }
    if (deps.blocksUse('Postgres')) throw new Error('Postgres is not used: it may lose events')
    await inbox.add(job)
    failpoint('ingest-after-inbox')
    deps.enqueued('inbox')
    return 'inbox'
  }
}
