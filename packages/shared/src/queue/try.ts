import { randomUUID } from 'node:crypto'
import { createAdd } from './add.ts'
import type { RedisClient } from './connection.ts'
import { MOST_COMPLETED, QUEUE_NAME } from './options.ts'
import { createJobTaker } from './take.ts'

/**
 * Sends a job through the scripts of a shard: it is added, taken and completed, in a queue beside that of the events,
 * which nobody else reads.
 *
 * @throws what Redis answers
 */
export async function tryQueue(client: RedisClient, prefix: string): Promise<void> {
  const beside = `${prefix}:try`
  const taker = createJobTaker(client, beside, { mostCompleted: () => MOST_COMPLETED })
  const token = randomUUID()
  await createAdd(client, beside)([{ jobId: 'probe', name: 'probe', data: '{}' }])
  // Another process may be faster: then there is nothing to take, and the job is not under this lock.
  await taker.take(token, 1)
  await taker.finish(token, [{ id: 'probe', attempts: 1 }])
  const keys = ['wait', 'active', 'completed', 'missing', 'marker', 'probe', 'probe:lock']
  await client.del(...keys.map((name) => `${beside}:${QUEUE_NAME}:${name}`))
}
