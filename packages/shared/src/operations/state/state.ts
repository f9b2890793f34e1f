import {
  classifyFailure,
  compareProcesses,
  isNotMigrated,
  isTooSlow,
  type MinuteRow,
  type RejectedKind,
  readInboxDepth,
  readMinutes,
  readOpenLetters,
  readOpenRefusals,
  readSameHours,
} from '../../db/index.ts'
import { unfinishedOf } from '../../queue/index.ts'
import { DEFAULT_SOURCES, namesOf, type Source, withDeadline } from '../../runtime/index.ts'
import type { Stores } from '../stores.ts'
import { CAUSES, type Cause, type CauseKind, findTexts, isAlive, type Since } from './causes.ts'
import type { Figures, Recorded } from './figures.ts'
import { flowOf, longestGaps, shownSince, usualGaps } from './flow.ts'
import { type Outage, outageOf, readProcesses } from './outage.ts'
import { LOST_SHOWN_MS, sumRefusals } from './refusals.ts'
import { streaksOf } from './streaks.ts'
import { span } from './words.ts'

/** The state of Sluice in words and figures. */
export type State = {
  readonly at: Date
  /** That of the gravest cause. */
  readonly level: 'ok' | 'warn' | 'fail'
  readonly sentence: string
  /** At most three, the gravest first. */
  readonly causes: readonly Cause[]
  readonly figures: Figures
  /** All causes that there are, and since when, for the next state. */
  readonly since: ReadonlyMap<CauseKind, Since>
  /** When Postgres was last away, as this process saw it, for the next state. */
  readonly outage: Outage | null
}

const MOST_CAUSES = 3
/** If the state before is older, a cause may have ended and begun again; and it may have begun any time since. */
const CONTINUES_MS = 60_000
const EXACT_MS = 10_000
/** A machine that is busy may need seconds; a server that is away is known earlier. */
const POSTGRES_MS = 4_000
const REDIS_MS = 1_000
const HOUR_MS = 3_600_000

/**
 * Reads the state. If a store does not answer, it says so. Nothing is counted in a table that grows.
 *
 * @param options.before the state that this process read last: it has since when something is wrong
 * @param options.redisMs the longest wait for a connection to Redis
 */
export async function readState(
  stores: Pick<Stores, 'db' | 'queue' | 'sources'>,
  { before, redisMs = REDIS_MS }: { before?: State | undefined; redisMs?: number } = {},
): Promise<State> {
  const at = new Date()
  const [postgres, redis] = await Promise.all([readPostgres(stores, at, before), readQueue(stores, redisMs)])
  const ages = [postgres.oldestMs, redis.oldestAt === undefined ? null : at.getTime() - redis.oldestAt]
  const known = ages.filter((age) => age !== null)
  const figures: Figures = {
    stores: { postgres: postgres.state, redis: redis.state },
    waiting: {
      inbox: postgres.inbox,
      queue: redis.waiting,
      oldestMs: known.length > 0 ? Math.max(0, ...known) : null,
      unknown: [
        ...(postgres.state === 'up' ? [] : (['inbox'] as const)),
        ...(redis.state === 'down' ? (['queue'] as const) : []),
      ],
    },
    recorded: postgres.recorded ?? before?.figures.recorded ?? null,
  }
  const { causes, since } = findCauses(figures, at, before)
  const [first] = causes
  return {
    at,
    level: causes.some(({ level }) => level === 'fail') ? 'fail' : (first?.level ?? 'ok'),
    sentence: sentenceOf(figures, causes, at),
    causes: causes.slice(0, MOST_CAUSES),
    figures,
    since,
    outage: outageOf(postgres.state, at, before),
  }
}

function findCauses(
  figures: Figures,
  at: Date,
  before: State | undefined,
): { causes: Cause[]; since: State['since'] } {
  const texts = findTexts(figures, at)
  const since = new Map<CauseKind, Since>()
  const pastMs = before ? at.getTime() - before.at.getTime() : Number.POSITIVE_INFINITY
  const causes = (Object.keys(CAUSES) as CauseKind[]).flatMap((kind): Cause[] => {
    const text = texts[kind]
    if (text === undefined) return []
    const known = pastMs < CONTINUES_MS ? before?.since.get(kind) : undefined
    const began = known ?? { at, isExact: pastMs < EXACT_MS }
    since.set(kind, began)
    const { level, next, anchor } = CAUSES[kind]
    return [
      {
        kind,
        level,
        text: typeof text === 'string' ? text : text(began),
        since: began.isExact ? began.at : null,
        next: { ...next, runbook: `docs/operations.md#${anchor}` },
      },
    ]
  })
  return { causes, since }
}

function sentenceOf({ recorded }: Figures, causes: readonly Cause[], at: Date): string {
  const [first] = causes
  if (!first) return flowSentence(recorded, at, true)
  const isFlowing = 'flows' in CAUSES[first.kind]
  const refused = causes.find(({ kind }) => kind === 'refused')
  return [
    ...(isFlowing ? [flowSentence(recorded, at, false)] : []),
    first.text,
    ...(refused && refused !== first ? [refused.text] : []),
  ].join(' ')
}

const RECENT_MS = 600_000

function flowSentence(recorded: Recorded | null, at: Date, isWell: boolean): string {
  const times = Object.values(recorded?.flow.lastEvents ?? {}).flatMap((time) => time?.getTime() ?? [])
  if (times.length === 0) return 'Sluice is ready. No event has come yet.'
  const age = Math.max(0, at.getTime() - Math.max(...times))
  if (age < RECENT_MS) return `Events flow. The last one came ${span(age)} ago.`
  const usual = recorded && usualOfLive(recorded)
  const text = usual ? `; usual at this hour: one in ${span(usual)}` : ''
  return `${isWell ? 'All is well. ' : ''}The last event came ${span(age)} ago${text}.`
}

/** How far the events of the busiest live source usually are apart; undefined if that is not known. */
function usualOfLive({ sources, usualGapMs }: Recorded): number | undefined {
  const gaps = sources.flatMap(({ name, kind }) => (kind === 'live' ? (usualGapMs[name] ?? []) : []))
  return gaps.length > 0 ? Math.min(...gaps) : undefined
}

type Postgres = Pick<Figures['waiting'], 'inbox' | 'oldestMs'> & {
  readonly state: Figures['stores']['postgres']
  readonly recorded: Recorded | null
}

async function readPostgres(
  { db, sources = DEFAULT_SOURCES }: Pick<Stores, 'db' | 'sources'>,
  at: Date,
  before: State | undefined,
): Promise<Postgres> {
  try {
    return await withDeadline(readRows(db, sources, at, before), POSTGRES_MS, 'reading the state')
  } catch (error) {
    const isOld = isNotMigrated(error)
    const isDown = isTooSlow(error) || classifyFailure(error) === 'infrastructure'
    if (!isOld && !isDown) throw error
    return { state: isOld ? 'not_migrated' : 'down', inbox: null, oldestMs: null, recorded: null }
  }
}

async function readRows(
  { pool }: Stores['db'],
  sources: readonly Source[],
  at: Date,
  state: State | undefined,
): Promise<Postgres> {
  const before = state?.figures.recorded ?? undefined
  const names = namesOf(sources)
  const usualHour = new Date(Math.floor(at.getTime() / HOUR_MS) * HOUR_MS)
  const isUsualKnown = before?.usualHour.getTime() === usualHour.getTime()
  const [depth, minutes, processes, deadLetters, refused, sameHours] = await Promise.all([
    readInboxDepth(pool),
    readMinutes(pool, shownSince(at)),
    readProcesses(pool, at, outageOf('up', at, state)),
    readOpenLetters(pool),
    readOpenRefusals(pool, new Date(at.getTime() - LOST_SHOWN_MS)),
    isUsualKnown ? [] : readSameHours(pool, usualHour),
  ])
  const living = processes.filter(isAlive)
  const ids = new Set(living.map(({ id }) => id))
  const newest = minutes.filter(
    ({ minute, process }) => ids.has(process) && at.getTime() - minute.getTime() < 120_000,
  )
  const hasRedis = living.some(({ app, queuePrefix }) => app === 'ingest' && queuePrefix !== null)
  return {
    state: 'up',
    inbox: depth.waiting,
    oldestMs: depth.oldestMs,
    recorded: {
      asOf: at,
      sources,
      flow: flowOf(minutes, at, names),
      rejected: rejectedNow(newest),
      isRefusing: newest.some(({ counters }) => isRefusing(counters, at)),
      workers: processes.filter(({ app }) => app === 'worker'),
      ingests: processes.filter(({ app }) => app === 'ingest'),
      misfits: compareProcesses(living),
      unsafe: [...new Set(newest.flatMap(({ counters }) => counters.unsafe))],
      deadLetters,
      refusals: sumRefusals(refused, at),
      usualHour,
      usualGapMs: isUsualKnown ? before.usualGapMs : usualGaps(sameHours, usualHour, names),
      longestGapMs: isUsualKnown ? before.longestGapMs : longestGaps(sameHours, usualHour, names),
      streaks: streaksOf(minutes, hasRedis),
      findings: newest.flatMap(({ counters }) => counters.findings),
    },
  }
}

/** What the newest row of each worker says, once for all workers. */
function rejectedNow(rows: readonly MinuteRow[]): RejectedKind[] {
  const newest = new Map<string, MinuteRow>()
  for (const row of rows) {
    if (row.minute.getTime() > (newest.get(row.process)?.minute.getTime() ?? 0)) newest.set(row.process, row)
  }
  const all = [...newest.values()].flatMap(({ counters }) => counters.rejected)
  return [...new Map(all.map((each) => [`${each.event} ${each.error}`, each])).values()]
}

const REFUSING_MS = 20_000

function isRefusing({ lastRefused, last }: MinuteRow['counters'], at: Date): boolean {
  if (lastRefused === null || lastRefused < at.getTime() - REFUSING_MS) return false
  return Object.values(last).every((accepted) => accepted < lastRefused)
}

type Queue = {
  readonly state: Figures['stores']['redis']
  readonly waiting: number | null
  readonly oldestAt?: number | undefined
}

async function readQueue({ queue }: Pick<Stores, 'queue'>, redisMs: number): Promise<Queue> {
  if (!queue) return { state: 'not_configured', waiting: null }
  try {
    if (!(await queue.ready(redisMs))) return { state: 'down', waiting: null }
    const [counts, oldestAt] = await Promise.all([queue.counts(), queue.oldest()])
    return { state: 'up', waiting: unfinishedOf(counts), oldestAt }
  } catch {
    return { state: 'down', waiting: null }
  }
}
