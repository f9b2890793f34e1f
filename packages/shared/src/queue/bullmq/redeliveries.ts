import type { Identity, Redeliveries } from '../../idwise/identity.ts'
import type { RedisClient } from '../connection.ts'
import { FIELD, queueKeys } from './keys.ts'
import { createScript } from './script.ts'

const SUBTRACT_COUNTS = `
redis.call('DEL', KEYS[2])
for i = 1, #ARGV, 2 do
  if redis.call('HINCRBY', KEYS[1], ARGV[i], -ARGV[i + 1]) <= 0 then redis.call('HDEL', KEYS[1], ARGV[i]) end
end`

const subtractCounts = createScript<null>(SUBTRACT_COUNTS, 2)

type Added = Identity & { readonly envelope: { readonly env: string } }

/**
 * Counts deliveries that found their job in the queue. BullMQ ignores a job whose id exists, but each event counts its
 * redeliveries. So a job's name is the delivery id that made it, adding returns the jobs that have another name, and
 * these are counted in a hash. A worker moves the counts from there to the events' rows.
 */
export async function noteRedeliveries(
  client: RedisClient,
  prefix: string,
  jobs: readonly Added[],
): Promise<void> {
  const { redeliveries } = queueKeys(prefix)
  await Promise.all(jobs.map((job) => client.hincrby(redeliveries, countedField(job), 1)))
}

/**
 * Moves the counts of finished jobs out of Redis into `record`, which returns for each whether there is a row to count
 * it on: there is none if the job was a conflict or became a dead letter. It subtracts before it records, so that no
 * delivery is counted twice: a worker that dies in between forgets some. Only one worker may do this at a time.
 *
 * @returns how many counts were moved
 */
export async function moveRedeliveries(
  client: RedisClient,
  prefix: string,
  record: (counts: Redeliveries[]) => Promise<boolean[]>,
): Promise<number> {
  const { redeliveries, redeliveriesNone, job } = queueKeys(prefix)
  let moved = 0
  for await (const page of client.hscanStream(redeliveries, { count: 200 }) as AsyncIterable<string[]>) {
    const fields = page.filter((_, index) => index % 2 === 0)
    const finished = await Promise.all(fields.map((field) => isFinished(client, job(jobIdIn(field)))))
    const counts = fields.flatMap((field, index) =>
      finished[index] ? [{ field, count: Number(page[2 * index + 1]) }] : [],
    )
    if (counts.length === 0) continue
    const pairs = counts.flatMap(({ field, count }) => [field, count])
    await subtractCounts(client, [redeliveries, redeliveriesNone, ...pairs])
    try {
      await record(counts.map(({ field, count }) => parseField(field, count)))
    } catch (error) {
      const pipeline = client.pipeline()
      for (const { field, count } of counts) pipeline.hincrby(redeliveries, field, count)
      await pipeline.exec()
      throw error
    }
    moved += counts.length
  }
  return moved
}

function countedField({ jobId, eventKey, bodySha256, envelope }: Added): string {
  return `${jobId}:${eventKey ?? ''}:${envelope.env}:${bodySha256}`
}

async function isFinished(client: RedisClient, key: string): Promise<boolean> {
  const [name, finishedOn] = await client.hmget(key, FIELD.name, FIELD.finishedOn)
  return name === null || finishedOn !== null
}

const jobIdIn = (field: string) => field.slice(0, field.indexOf(':'))

function parseField(field: string, count: number): Redeliveries {
  const [, eventKey, environment = '', bodySha256 = ''] = field.split(':')
  return { eventKey: eventKey || null, environment, bodySha256, count }
}
