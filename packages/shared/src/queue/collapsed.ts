import type { Log } from '../runtime/log.ts'
import type { RedisClient } from './connection.ts'
import { EVENT_STREAM_LENGTH, QUEUE_NAME } from './options.ts'

/**
 * BullMQ drops a job whose id exists and tells nobody, but each event counts its redeliveries. So the job's name is
 * the arrival that made it: after an add, a job under another name shows that this arrival collapsed onto it. The
 * script answers which ones did. BullMQ caps its event stream only when jobs end, so it is cut here as well: a backlog
 * would carry an entry for each job.
 */
const COLLAPSE = `
local collapsed = {}
for i = 2, #ARGV, 2 do
  local name = redis.call('HGET', ARGV[1] .. ARGV[i], 'name')
  if name and name ~= ARGV[i + 1] then collapsed[#collapsed + 1] = i / 2 - 1 end
end
redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', ${EVENT_STREAM_LENGTH})
return collapsed`

const TAKE = `
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

type WithScripts = RedisClient & {
  sluiceCollapse(key: string, ...args: string[]): Promise<number[]>
  sluiceTake(key: string, ...args: string[]): Promise<null>
}

type Added = {
  readonly jobId: string
  readonly eventKey: string | null
  readonly bodySha256: string
  readonly envelope: { readonly env: string; readonly arrival: string }
}

const COUNT_EVERY_MS = 50

/**
 * Counts those of the added jobs that were there before, in a hash, from where a worker moves them to the events' rows.
 * It looks at many jobs at a time, shortly after they were added: the events are stored, so neither a failure nor a
 * delay here may hold up their answers.
 */
export function createCollapsedCount(client: RedisClient, prefix: string, log: Log) {
  // Sends the script once per connection; afterwards only its hash travels.
  client.defineCommand('sluiceCollapse', { numberOfKeys: 1, lua: COLLAPSE })
  const jobPrefix = `${prefix}:${QUEUE_NAME}:`
  let noted: Added[] = []
  let timer: NodeJS.Timeout | undefined

  async function count(jobs: readonly Added[]): Promise<void> {
    const args = jobs.flatMap(({ jobId, envelope }) => [jobId, envelope.arrival])
    const collapsed = await (client as WithScripts).sluiceCollapse(`${jobPrefix}events`, jobPrefix, ...args)
    if (collapsed.length === 0) return
    const pipeline = client.pipeline()
    for (const index of collapsed) {
      pipeline.hincrby(collapsedKey(prefix), collapsedField(jobs[index] as Added), 1)
    }
    await pipeline.exec()
  }

  async function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const jobs = noted
    noted = []
    if (jobs.length === 0) return
    await count(jobs).catch((error) =>
      log.warn({ err: error, events: jobs.length }, 'duplicates among added events were not counted'),
    )
  }

  return {
    note(jobs: readonly Added[]): void {
      noted.push(...jobs)
      timer ??= setTimeout(() => void flush(), COUNT_EVERY_MS)
    },
    flush,
  }
}

/**
 * Takes the counts of jobs that have ended out of Redis and hands them to `record`, which says for each whether there
 * is a row to count it on; where there is none the job was a conflict or became a dead letter. Taken first, so that no
 * delivery is ever counted twice: a worker that dies in between forgets some. Only one worker may do this at a time.
 */
export async function moveCollapsed(
  client: RedisClient,
  { key, jobPrefix }: { key: string; jobPrefix: string },
  record: (counts: CollapsedCount[]) => Promise<boolean[]>,
): Promise<number> {
  client.defineCommand('sluiceTake', { numberOfKeys: 1, lua: TAKE })
  let moved = 0
  for await (const page of client.hscanStream(key, { count: 200 }) as AsyncIterable<string[]>) {
    const all = page.filter((_, index) => index % 2 === 0)
    const finished = await Promise.all(all.map((field) => isFinished(client, jobPrefix + jobIdIn(field))))
    const taken = all.flatMap((field, index) =>
      finished[index] ? [{ field, count: Number(page[2 * index + 1]) }] : [],
    )
    if (taken.length === 0) continue
    await (client as WithScripts).sluiceTake(
      key,
      ...taken.flatMap(({ field, count }) => [field, String(count)]),
    )
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

function parseField(field: string, count: number): CollapsedCount {
  const [, eventKey, environment = '', bodySha256 = ''] = field.split(':')
  return { eventKey: eventKey || null, environment, bodySha256, count }
}
