import { type Amount, BEAT_MS, type SeenProcess } from '../../db/index.ts'
import { REDELIVERY_SPAN_MS, sureUntil } from '../../idwise/index.ts'
import type { Figures, OpenRefusals, Recorded } from './figures.ts'
import { amountOf, counted, number, span, timeOfDay, waitingText } from './words.ts'

/** What is not as it should be, and the one next step. */
export type Cause = {
  readonly kind: CauseKind
  readonly level: 'warn' | 'fail'
  readonly text: string
  /** Since when it has been there, if this process saw it begin. */
  readonly since: Date | null
  readonly next: {
    readonly text: string
    /** To be run from the clone, or in a container. */
    readonly command?: string
    /** A page of the console. */
    readonly link?: string
    /** Where the documentation says more. */
    readonly runbook: string
  }
}

type Kind = {
  readonly level: Cause['level']
  /** Whether events go on landing all the same. */
  readonly flows?: true
  readonly next: Omit<Cause['next'], 'runbook'>
  /** The heading in docs/operations.md, as an anchor. */
  readonly anchor: string
}

const LOOK = { text: 'See what is wrong:', command: 'npx sluice doctor' }
const START_WORKER = { text: 'Start a worker:', command: 'docker compose up -d worker' }

/** All kinds of causes, the gravest first. */
export const CAUSES = {
  no_store: { level: 'fail', next: LOOK, anchor: 'events-are-refused' },
  not_migrated: {
    level: 'fail',
    next: { text: 'Migrate it:', command: 'npx sluice migrate' },
    anchor: 'postgres-does-not-answer',
  },
  postgres_down: { level: 'fail', next: LOOK, anchor: 'postgres-does-not-answer' },
  refusing: { level: 'fail', next: LOOK, anchor: 'events-are-refused' },
  no_ingest: {
    level: 'fail',
    next: { text: 'Start an ingest:', command: 'docker compose up -d ingest' },
    anchor: 'no-ingest-runs',
  },
  nobody_consumes: { level: 'fail', next: START_WORKER, anchor: 'nobody-consumes' },
  misfit: { level: 'fail', next: LOOK, anchor: 'nobody-consumes' },
  rejected: {
    level: 'fail',
    next: {
      text: 'Change what the error names (a constraint, a trigger, a column, a right): then they land by themselves. See:',
      link: '/events?view=waiting',
    },
    anchor: 'postgres-refuses-events',
  },
  redis_down: { level: 'warn', next: LOOK, anchor: 'redis-does-not-answer' },
  refused: {
    level: 'warn',
    flows: true,
    next: { text: 'Keep the ingests up until then. See which:', link: '/now' },
    anchor: 'events-are-refused',
  },
  unsafe: { level: 'warn', flows: true, next: LOOK, anchor: 'stores-that-may-lose-events' },
  behind: {
    level: 'warn',
    next: { text: 'Start more workers:', command: 'docker compose up -d --scale worker=3' },
    anchor: 'workers-do-not-keep-up',
  },
  lost: {
    level: 'warn',
    flows: true,
    next: { text: "Fetch the results with IDWise's API. See which:", link: '/now' },
    anchor: 'idwise-has-given-up',
  },
  dead_letters: {
    level: 'warn',
    flows: true,
    next: { text: 'See the groups:', command: 'npx sluice dead groups', link: '/dead-letters' },
    anchor: 'dead-letters',
  },
  quiet: {
    level: 'warn',
    next: { text: 'Press "Test URL" in the portal of IDWise, and see if it is answered 200.' },
    anchor: 'no-events-come',
  },
  no_worker: { level: 'warn', next: START_WORKER, anchor: 'nobody-consumes' },
} as const satisfies Record<string, Kind>

export type CauseKind = keyof typeof CAUSES

export const ALIVE_MS = 2 * BEAT_MS + 2_000
const BEHIND_MS = 120_000
/** A quiet hour is no cause unless it is far from usual. */
const QUIET_TIMES = 8
const QUIET_MS = 15 * 60_000

/** Since when a cause is known to be there. If it is not exact, it was there when this process first looked. */
export type Since = { readonly at: Date; readonly isExact: boolean }

/** The text of each cause that there is. */
type Texts = Partial<Record<CauseKind, string | ((since: Since) => string)>>

export function findTexts({ stores, waiting, recorded }: Figures, now: Date): Texts {
  const lasting = (store: string) => (since: Since) => {
    const ms = now.getTime() - since.at.getTime()
    if (ms < 60_000) return `${store} does not answer`
    return `${store} has not answered for ${since.isExact ? '' : 'at least '}${span(ms)}`
  }
  if (stores.postgres === 'not_migrated') {
    return { not_migrated: 'The database is not migrated: events wait, and nothing can be shown.' }
  }
  if (stores.postgres === 'down' && stores.redis === 'down') {
    return {
      no_store: (since) => `Neither Postgres nor Redis answers: events are refused. ${patience(since, now)}`,
    }
  }
  if (stores.postgres === 'down' && stores.redis === 'not_configured') {
    return {
      no_store: (since) =>
        `${lasting('Postgres')(since)}, and there is no Redis: events are refused. ${patience(since, now)}`,
    }
  }
  if (stores.postgres === 'down') {
    const waits = waiting.queue === null ? '' : ` (${number(waiting.queue)})`
    return {
      postgres_down: (since) =>
        `${lasting('Postgres')(since)}: events wait in Redis${waits}, none is refused.`,
    }
  }
  const inbox = waiting.inbox ?? { count: 0, isMore: false }
  return {
    ...(stores.redis === 'down' && {
      redis_down: (since: Since) =>
        `${lasting('Redis')(since)}: events go to the inbox (${amountOf(inbox)} wait there).`,
    }),
    ...(recorded && findRecorded(recorded, allWaiting(waiting), waiting.oldestMs, now)),
  }
}

function patience({ at, isExact }: Since, now: Date): string {
  if (!isExact) return 'IDWise gives up on an event 15 to 30 min after its first try.'
  const end = new Date(at.getTime() + REDELIVERY_SPAN_MS)
  if (end <= now) return `IDWise has given up on the first of them at ${timeOfDay(end, now)}.`
  const sure = timeOfDay(sureUntil(end), now)
  return `IDWise gives up on the first of them at ${timeOfDay(end, now)}; count on nothing after ${sure}.`
}

export function allWaiting({ inbox, queue }: Figures['waiting']): Amount {
  return { count: (inbox?.count ?? 0) + (queue ?? 0), isMore: inbox?.isMore ?? false }
}

function findRecorded(recorded: Recorded, waiting: Amount, oldestMs: number | null, now: Date): Texts {
  const { flow, workers, ingests, misfits, unsafe, deadLetters, refusals } = recorded
  const age = oldestMs === null ? '' : `, the oldest for ${span(oldestMs)}`
  const isWorked = workers.some(isAlive)
  const texts: Texts = {}
  const refusedNow = flow.perMinute.slice(-2).reduce((sum, { refused }) => sum + refused, 0)
  if (recorded.isRefusing) {
    texts.refusing = `Ingests refuse events: ${number(refusedNow)} in the last two minutes.`
  }
  if (!ingests.some(isAlive)) {
    texts.no_ingest = `No ingest runs${lastSeen(ingests)}: IDWise cannot deliver.`
  }
  if (!isWorked) {
    if (waiting.count > 0) {
      texts.nobody_consumes = `Nobody consumes${lastSeen(workers)}: ${waitingText(waiting)} wait${waiting.count === 1 ? 's' : ''}${age}.`
    } else texts.no_worker = `No worker runs${lastSeen(workers)}: events will wait.`
  }
  const [misfit] = misfits.filter(({ level }) => level === 'fail')
  if (misfit && isWorked) texts.misfit = `${capital(misfit.text)}.`
  if (refusals.awaited > 0) {
    const of = ofEnvironments(refusals, 'awaited')
    texts.refused = `${counted(refusals.awaited, 'refused event has', 'refused events have')} not come again${of}: ${clockText(recorded, now)}.`
  }
  if (unsafe.length > 0) {
    const more = unsafe.length > 1 ? ` (and ${unsafe.length - 1} more)` : ''
    texts.unsafe = `A store may lose events. ${unsafe[0]}${more}.`
  }
  if (isWorked && waiting.count > 0 && recorded.rejected.length > 0) {
    texts.rejected = `${rejectedText(recorded.rejected)} ${capital(waitingText(waiting))} wait${waiting.count === 1 ? 's' : ''}${age}.`
  } else if (isWorked && waiting.count > 0 && oldestMs !== null && oldestMs > BEHIND_MS) {
    texts.behind = `Workers do not keep up: ${waitingText(waiting)} wait${waiting.count === 1 ? 's' : ''}${age}.`
  }
  if (refusals.lost > 0) {
    texts.lost = `IDWise has given up on ${counted(refusals.lost, 'event')} that ${refusals.lost === 1 ? 'was' : 'were'} refused${ofEnvironments(refusals, 'lost')}.`
  }
  const { open, groups, newestAt } = deadLetters
  if (open.count > 0) {
    const newest = newestAt ? `, the newest ${span(now.getTime() - newestAt.getTime())} ago` : ''
    const are = open.count === 1 ? 'dead letter is' : 'dead letters are'
    texts.dead_letters = `${amountOf(open)} ${are} open, in ${counted(groups, 'group')}${newest}.`
  }
  const quiet = quietTexts(recorded, now)
  if (quiet.length > 0) texts.quiet = quiet.join(' ')
  return texts
}

const MOST_ERROR = 200

/** Which events Postgres refuses, and the error in its own words. */
function rejectedText(rejected: Recorded['rejected']): string {
  const [first] = rejected
  const names = [...new Set(rejected.map(({ event }) => event))]
  const others = names.length > 1 ? ` and of ${counted(names.length - 1, 'other kind')}` : ''
  const what =
    first?.event === null
      ? 'what workers write'
      : `every event of the kind ${first?.event?.slice(0, 80)}${others}`
  return `Postgres refuses ${what}: “${first?.error.slice(0, MOST_ERROR)}”.`
}

/** How many of each environment, in brackets; nothing if they are of the source live alone. */
export function ofEnvironments({ byEnvironment }: OpenRefusals, figure: 'awaited' | 'lost'): string {
  const some = Object.entries(byEnvironment).filter(([, figures]) => figures[figure] > 0)
  if (some.every(([name]) => name === 'live')) return ''
  return ` (${some.map(([name, figures]) => `${name} ${number(figures[figure])}`).join(', ')})`
}

/** When IDWise tries again, and gives up. */
export function clockText({ refusals: { nextTryAt, givesUpAt } }: Recorded, now: Date): string {
  if (!nextTryAt || !givesUpAt) return 'IDWise has given up'
  const next = nextTryAt > now ? `tries again at ${timeOfDay(nextTryAt, now)}` : 'tries again now'
  const sure = timeOfDay(sureUntil(givesUpAt), now)
  return `IDWise ${next}, and gives up at ${timeOfDay(givesUpAt, now)}; count on nothing after ${sure}`
}

/** For how long no event of live sources has come, where that is far from usual. */
function quietTexts({ sources, flow, usualGapMs }: Recorded, now: Date): string[] {
  return sources.flatMap(({ name, kind }) => {
    const [last, usual] = [flow.lastEvents[name], usualGapMs[name]]
    if (kind !== 'live' || !last || !usual) return []
    const quietMs = now.getTime() - last.getTime()
    if (quietMs < Math.max(QUIET_MS, QUIET_TIMES * usual)) return []
    return [`No ${name} event for ${span(quietMs)}; usual at this hour: one in ${span(usual)}.`]
  })
}

export const isAlive = ({ silentMs, missedMs = silentMs }: SeenProcess & { missedMs?: number }) =>
  missedMs <= ALIVE_MS

function lastSeen(processes: readonly SeenProcess[]): string {
  return processes[0] ? ` (the last sign of one was ${span(processes[0].silentMs)} ago)` : ''
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
