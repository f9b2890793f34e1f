import type { RedisClient } from '../connection.ts'
import { NO_KEY } from './options.ts'
import { createScript } from './script.ts'

// A full Redis lets a script go on that has written: so the first write needs no memory (`NO_KEY`).
const CLAIM = `
redis.call('DEL', KEYS[2])
for i = 1, #ARGV, 2 do
  if redis.call('HINCRBY', KEYS[1], ARGV[i], -ARGV[i + 1]) <= 0 then redis.call('HDEL', KEYS[1], ARGV[i]) end
end`

const take = createScript<null>(CLAIM, 2)

/** Deliveries that collapsed onto the job of one body of one event. */
export type Redeliveries = {
  /** Hex; null for an event without id. */
  readonly eventKey: string | null
  readonly environment: string
  /** Hex. */
  readonly bodySha256: string
  readonly count: number
}

export const redeliveriesKey = (prefix: string) => `${prefix}:collapsed`

type Added = {
  readonly jobId: string
  readonly eventKey: string | null
  readonly bodySha256: string
  readonly envelope: { readonly env: string }
}

/**
 * BullMQ drops a job whose id exists and tells nobody, but each event counts its redeliveries. So a job's name is the
 * arrival that made it, adding tells which jobs have another name, and these are counted in a hash, from where a worker
 * moves them to the events' rows.
 */
export async function noteRedeliveries(
  client: RedisClient,
  prefix: string,
  jobs: readonly Added[],
): Promise<void> {
  await Promise.all(jobs.map((job) => client.hincrby(redeliveriesKey(prefix), collapsedField(job), 1)))
}

/**
 * Takes the counts of jobs that have ended out of Redis and hands them to `record`, which says for each whether there
 * is a row to count it on; where there is none the job was a conflict or became a dead letter. Taken first, so that no
 * delivery is ever counted twice: a worker that dies in between forgets some. Only one worker may do this at a time.
 */
export async function moveRedeliveries(
  client: RedisClient,
  { key, jobPrefix }: { key: string; jobPrefix: string },
  record: (counts: Redeliveries[]) => Promise<boolean[]>,
): Promise<number> {
  let moved = 0
  for await (const page of client.hscanStream(key, { count: 200 }) as AsyncIterable<string[]>) {
    const all = page.filter((_, index) => index % 2 === 0)
    const finished = await Promise.all(all.map((field) => isFinished(client, jobPrefix + jobIdIn(field))))
    const taken = all.flatMap((field, index) =>
      finished[index] ? [{ field, count: Number(page[2 * index + 1]) }] : [],
    )
    if (taken.length === 0) continue
    await take(client, [key, `${key}:${NO_KEY}`, ...taken.flatMap(({ field, count }) => [field, count])])
    try {
      await record(taken.map(({ field, count }) => parseField(field, count)))
    } catch (error) {
      const pipeline = client.pipeline()
      for (const { field, count } of taken) pipeline.hincrby(key, field, count)
      await pipeline.exec()
      throw error
    }
    moved += taken.length
  }
  return moved
}

function collapsedField({ jobId, eventKey, bodySha256, envelope }: Added): string {
  return `${jobId}:${eventKey ?? ''}:${envelope.env}:${bodySha256}`
}

async function isFinished(client: RedisClient, job: string): Promise<boolean> {
  const [name, finishedOn] = await client.hmget(job, 'name', 'finishedOn')
  return name === null || finishedOn !== null
}

const jobIdIn = (field: string) => field.slice(0, field.indexOf(':'))

function parseField(field: string, count: number): Redeliveries {
  const [, eventKey, environment = '', bodySha256 = ''] = field.split(':')
  return { eventKey: eventKey || null, environment, bodySha256, count }
}
