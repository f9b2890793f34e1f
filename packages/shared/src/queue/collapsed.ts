import type { RedisClient } from './connection.ts'
import { EVENT_STREAM_LENGTH } from './options.ts'

/**
 * BullMQ drops a job whose id exists and tells nobody, but each event counts its redeliveries. So the job's name is
 * the arrival that made it: after an add, a job under another name shows that this arrival collapsed onto it, and it
 * is counted in a hash, from where a worker moves it to the event's row. BullMQ caps its event stream only when jobs
 * end, so it is cut here as well: a backlog would carry an entry for each job.
 */
const COLLAPSE = `
for i = 2, #ARGV, 3 do
  local name = redis.call('HGET', ARGV[1] .. ARGV[i], 'name')
  if name and name ~= ARGV[i + 1] then redis.call('HINCRBY', KEYS[1], ARGV[i + 2], 1) end
end
redis.call('XTRIM', ARGV[1] .. 'events', 'MAXLEN', '~', ${EVENT_STREAM_LENGTH})`

const SETTLE = `
for i = 1, #ARGV, 2 do
  if redis.call('HINCRBY', KEYS[1], ARGV[i], -ARGV[i + 1]) <= 0 then redis.call('HDEL', KEYS[1], ARGV[i]) end
end`

/** Deliveries that collapsed onto the job of one body of one event. */
export type CollapsedCount = {
  /** Hex; null for an event without id. */
  readonly eventKey: string | null
  readonly environment: string
  /** Hex. */
  readonly bodySha256: string
  readonly count: number
}

export const collapsedKey = (prefix: string) => `${prefix}:collapsed`

export function collapsedField(event: {
  jobId: string
  eventKey: string | null
  bodySha256: string
  envelope: { env: string }
}): string {
  return `${event.jobId}:${event.eventKey ?? ''}:${event.envelope.env}:${event.bodySha256}`
}

type WithScripts = RedisClient & {
  sluiceCollapse(key: string, ...args: string[]): Promise<null>
  sluiceSettle(key: string, ...args: string[]): Promise<null>
}

/** Sends each script once per connection; afterwards only its hash travels. */
export function defineCollapse(client: RedisClient) {
  client.defineCommand('sluiceCollapse', { numberOfKeys: 1, lua: COLLAPSE })
  return (key: string, jobPrefix: string, jobs: { jobId: string; arrival: string; field: string }[]) =>
    (client as WithScripts).sluiceCollapse(
      key,
      jobPrefix,
      ...jobs.flatMap(({ jobId, arrival, field }) => [jobId, arrival, field]),
    )
}

/**
 * Hands the counts to `record` and takes off what it has recorded, and what it never will: where the job had finished
 * and there is no row with its bytes, it was a conflict or became a dead letter. A crash in between counts a delivery
 * twice, never an event. Only one worker may do this at a time.
 */
export async function moveCollapsed(
  client: RedisClient,
  { key, jobPrefix }: { key: string; jobPrefix: string },
  record: (counts: CollapsedCount[]) => Promise<boolean[]>,
): Promise<number> {
  client.defineCommand('sluiceSettle', { numberOfKeys: 1, lua: SETTLE })
  let moved = 0
  for await (const page of client.hscanStream(key, { count: 200 }) as AsyncIterable<string[]>) {
    const fields = page.filter((_, index) => index % 2 === 0)
    const counts = fields.map((field, index) => parseField(field, Number(page[2 * index + 1])))
    if (counts.length === 0) continue
    // Asked first: a job that is still under way now may have landed by the time that its row is looked for.
    const finished = await Promise.all(fields.map((field) => isFinished(client, jobPrefix + jobIdIn(field))))
    const recorded = await record(counts)
    const done = fields.flatMap((field, index) =>
      recorded[index] || finished[index] ? [field, String(counts[index]?.count)] : [],
    )
    if (done.length > 0) await (client as WithScripts).sluiceSettle(key, ...done)
    moved += done.length / 2
  }
  return moved
}

async function isFinished(client: RedisClient, job: string): Promise<boolean> {
  const [name, finishedOn] = await client.hmget(job, 'name', 'finishedOn')
  return name === null || finishedOn !== null
}

const jobIdIn = (field: string) => field.slice(0, field.indexOf(':'))

function parseField(field: string, count: number): CollapsedCount {
  const [, eventKey, environment = '', bodySha256 = ''] = field.split(':')
  return { eventKey: eventKey || null, environment, bodySha256, count }
}
