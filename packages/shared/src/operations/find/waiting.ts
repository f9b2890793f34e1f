import { type Enclosed, findInboxRows, readEnclosed, sampleInbox } from '../../db/index.ts'
import type { QueuedJob } from '../../queue/index.ts'
import type { Stores } from '../stores.ts'

/** An event that was received and has neither landed nor become a dead letter. */
export type WaitingEvent = {
  readonly where: 'inbox' | 'queue'
  readonly jobId: string
  /** Hex; null if its envelope cannot be read. */
  readonly eventKey: string | null
  readonly environment: string | null
  readonly event: string | null
  readonly eventId: string | null
  readonly journeyId: string | null
  readonly referenceNo: string | null
  readonly receivedAt: Date | null
  /** Failed tries so far. */
  readonly attempts: number
  readonly lastError: string | null
}

export type Waiting = {
  readonly events: readonly WaitingEvent[]
  /** How many were looked at. */
  readonly looked: number
  /** False if there are more than were looked at. */
  readonly isAll: boolean
  /** Redis is configured and does not answer. */
  readonly queueIsAway: boolean
}

/** How long Redis may take to be ready. */
const REDIS_MS = 300

/** The waiting events that are looked through, in the inbox and in each shard: they have no index on names. */
export const WAITING_READ = 1_000

/**
 * The events that have waited longest, at most so many in the inbox and in each shard of the queue.
 *
 * @param isWanted is given the bytes too, if the envelope can be read
 */
export async function readWaiting(
  stores: Pick<Stores, 'db' | 'queue'>,
  limit: number,
  isWanted: (event: WaitingEvent, raw: Buffer | undefined) => boolean = () => true,
): Promise<Waiting> {
  const [inbox, queue] = await Promise.all([
    sampleInbox(stores.db, limit),
    ofQueue(stores, (queue) => queue.sampleWaiting(limit), { jobs: [], isAll: true }),
  ])
  const rows = [
    ...inbox.rows.map((row) => ['inbox', row] as const),
    ...queue.found.jobs.map((job) => ['queue', ofJob(job)] as const),
  ]
  return {
    events: rows.flatMap(([where, row]) => {
      const enclosed = readEnclosed(row.envelope)
      const event = describe(where, row, enclosed)
      return isWanted(event, enclosed?.raw) ? [event] : []
    }),
    looked: rows.length,
    isAll: inbox.isAll && queue.found.isAll && !queue.isAway,
    queueIsAway: queue.isAway,
  }
}

/** How far the events that wait were looked through, in words. */
export function wordsOfWaiting({ looked, isAll, queueIsAway }: Waiting): string[] {
  const words =
    isAll || queueIsAway
      ? `the events that wait (${looked === 0 ? 'none does' : `all ${looked}`})`
      : `${looked} of the events that wait, the oldest first`
  return [words, ...(queueIsAway ? ['not in the queue: Redis does not answer'] : [])]
}

/** The waiting event with this key, and what its envelope has, if it is among those that are looked through. */
export async function findWaitingKey(
  stores: Pick<Stores, 'db' | 'queue'>,
  eventKey: string,
  limit: number,
): Promise<Found | null> {
  const [inbox, queue] = await Promise.all([
    sampleInbox(stores.db, limit),
    ofQueue(stores, (queue) => queue.sampleWaiting(limit), { jobs: [], isAll: true }),
  ])
  return find('inbox', inbox.rows, eventKey) ?? find('queue', queue.found.jobs.map(ofJob), eventKey) ?? null
}

type Found = {
  readonly event: WaitingEvent
  readonly enclosed: Enclosed
}

function find(where: WaitingEvent['where'], rows: readonly Row[], eventKey: string): Found | undefined {
  for (const row of rows) {
    const enclosed = readEnclosed(row.envelope)
    if (enclosed?.eventKey.toString('hex') === eventKey) return { event: describe(where, row), enclosed }
  }
  return undefined
}

/** The events of these jobs, if they wait; `ended` are those that have been completed within the last hour. */
export async function findWaiting(
  stores: Pick<Stores, 'db' | 'queue'>,
  jobIds: readonly string[],
): Promise<{ waiting: WaitingEvent[]; ended: WaitingEvent[] }> {
  if (jobIds.length === 0) return { waiting: [], ended: [] }
  const [rows, queue] = await Promise.all([
    findInboxRows(stores.db, jobIds),
    ofQueue(stores, (queue) => queue.findJobs(jobIds), []),
  ])
  const { ended = [], waiting = [] } = Object.groupBy(queue.found, ({ isCompleted }) =>
    isCompleted ? 'ended' : 'waiting',
  )
  return {
    waiting: [
      ...rows.map((row) => describe('inbox', row)),
      ...waiting.map((job) => describe('queue', ofJob(job))),
    ],
    ended: ended.map((job) => describe('queue', ofJob(job))),
  }
}

async function ofQueue<Found>(
  { queue }: Pick<Stores, 'queue'>,
  ask: (queue: NonNullable<Stores['queue']>) => Promise<Found>,
  nothing: Found,
): Promise<{ found: Found; isAway: boolean }> {
  if (!queue) return { found: nothing, isAway: false }
  if (!(await queue.ready(REDIS_MS))) return { found: nothing, isAway: true }
  return ask(queue).then(
    (found) => ({ found, isAway: false }),
    () => ({ found: nothing, isAway: true }),
  )
}

type Row = Pick<WaitingEvent, 'jobId' | 'attempts' | 'lastError'> & { readonly envelope: string }

const ofJob = ({ data, ...job }: QueuedJob): Row => ({ ...job, envelope: data, lastError: null })

function describe(
  where: WaitingEvent['where'],
  { jobId, envelope, attempts, lastError }: Row,
  enclosed = readEnclosed(envelope),
): WaitingEvent {
  return {
    where,
    jobId,
    eventKey: enclosed?.eventKey.toString('hex') ?? null,
    environment: enclosed?.environment ?? null,
    event: enclosed?.event.event ?? null,
    eventId: enclosed?.event.eventId ?? null,
    journeyId: enclosed?.event.journeyId ?? null,
    referenceNo: enclosed?.event.referenceNo ?? null,
    receivedAt: enclosed?.receivedAt ?? null,
    attempts,
    lastError,
  }
}
