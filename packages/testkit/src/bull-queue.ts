import { Queue } from 'bullmq'
import { Redis } from 'ioredis'

/** The prefix of all keys of a shard. */
export const shardPrefix = (prefix: string, shard = 0) => `{${prefix}-${shard}}`

/** The hash that counts the redeliveries of a shard until a worker has written them to the rows. */
export const redeliveriesKey = (prefix: string, shard = 0) => `${shardPrefix(prefix, shard)}:collapsed`

/** The first shard of a queue, as any tool of BullMQ sees it. */
export function openBullQueue(
  url: string,
  prefix: string,
): { queue: Queue; client: Redis } & AsyncDisposable {
  const client = new Redis(url)
  const queue = new Queue('events', { connection: client, prefix: shardPrefix(prefix) })
  return {
    queue,
    client,
    async [Symbol.asyncDispose]() {
      await queue.close()
      client.disconnect()
    },
  }
}
