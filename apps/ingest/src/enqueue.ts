import type { NewJob, QueueProducer } from '@sluice/shared/queue'
import { describeError, failpoint, type Log, type StoreName } from '@sluice/shared/runtime'
import type { InboxWriter } from './inbox-writer.ts'

/** Resolves once a store has acknowledged the event; rejects when none did. */
export type Enqueue = (event: NewJob) => Promise<void>

/**
 * Queue first, inbox where the event's shard of it fails or it is not configured. An add that timed out may still have
 * happened: then both stores have the event, and its key makes it one.
 */
export function createEnqueue(deps: {
  queue: QueueProducer | undefined
  /** True where a store answers but may not be trusted with events: it gets none, whatever else is away. */
  blocksUse(store: StoreName): boolean
  inbox: InboxWriter
  enqueued(via: 'redis' | 'inbox'): void
  log: Log
}): Enqueue {
  const { queue, inbox, log } = deps
  return async (event) => {
    failpoint('ingest-before-add')
    if (queue && !deps.blocksUse('Redis')) {
      try {
        await queue.add(event)
        failpoint('ingest-after-add')
        deps.enqueued('redis')
        return
      } catch (error) {
        log.debug({ error: describeError(error) }, 'not enqueued in Redis')
      }
    }
    if (deps.blocksUse('Postgres')) throw new Error('Postgres is refused: it may lose events')
    await inbox.add(event)
    failpoint('ingest-after-inbox')
    deps.enqueued('inbox')
  }
}
