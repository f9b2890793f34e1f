import {
  behindMs,
  type Condition,
  coveredUntil,
  type Db,
  listPartitions,
  readRetention,
} from '../../db/index.ts'
import { kindOf } from '../../runtime/index.ts'
import { findTexts, isAlive, ofEnvironments, quietSources } from '../state/causes.ts'
import type { Recorded } from '../state/figures.ts'
import type { State } from '../state/index.ts'
import { amountOf, counted, span } from '../state/words.ts'
import { alertText, meaningOfRefusals, severityOfRefusals } from './texts.ts'

const DAY_MS = 86_400_000
/** IDWise is about to give up: it is told once more. */
const SOON_MS = 300_000
const STEPS = [10, 100, 1_000] as const

/** What holds now, and the names whose conditions cannot be judged or follow from another one. */
export type Conditions = { readonly found: readonly Condition[]; readonly held: readonly string[] }

/** The conditions of a state. Postgres answers; while it does not, there is no table for incidents either. */
export function conditionsOf(state: State): Conditions {
  const { recorded, stores } = state.figures
  if (!recorded || stores.postgres !== 'up') return { found: [], held: [] }
  const isRedisDown = stores.redis === 'down'
  const found = [
    ...refusing(recorded, state.at),
    ...causes(state),
    ...silences(recorded, state.at),
    ...deadLetters(recorded),
  ]
  const { newest, groups } = recorded.deadLetters
  // The state names the newest groups alone: one that it does not name may be there all the same.
  const unknown = groups > newest.length ? ['dead-letters'] : []
  if (!isRedisDown) return { found, held: unknown }
  // While Redis is away, its jobs wait, and nobody knows how many.
  return {
    found: found.filter(({ name }) => !FOLLOWING.includes(name)),
    held: [...unknown, ...FOLLOWING],
  }
}

const FOLLOWING = ['late', 'store-unsafe']

function refusing({ refusals, isRefusing, sources }: Recorded, now: Date): Condition[] {
  const { awaited, lost, givesUpAt } = refusals
  const severity = (figure: 'awaited' | 'lost') =>
    severityOfRefusals(
      Object.entries(refusals.byEnvironment).flatMap(([name, figures]) =>
        figures[figure] > 0 ? kindOf(sources, name) : [],
      ),
    )
  const found: Condition[] = []
  if (isRefusing || awaited > 0) {
    const what = isRefusing ? 'Ingests refuse events' : 'Events were refused and have not come again yet'
    const of = ofEnvironments(refusals, 'awaited')
    const text = alertText('refusing', `${what}${of}. ${meaningOfRefusals({ events: awaited, givesUpAt }, now)}`)
    const common = { name: 'refusing', severity: severity('awaited'), text, peak: awaited }
    found.push({ ...common, subject: '' })
    if (awaited > 0 && givesUpAt && givesUpAt.getTime() - now.getTime() < SOON_MS) {
      found.push({ ...common, subject: 'IDWise gives up soon' })
    }
  }
  if (lost > 0) {
    const what = `IDWise has given up on ${counted(lost, 'event')} that Sluice refused${ofEnvironments(refusals, 'lost')}: fetch the results with IDWise's API. /now in the console lists them.`
    const text = alertText('refusing', what)
    found.push({ name: 'refusing', subject: 'given up', severity: severity('lost'), text, peak: lost })
  }
  return found
}

/** The causes of the state that are alerts as they are. */
const ALERTS = {
  no_ingest: ['no-ingest', '', 'page'],
  nobody_consumes: ['nobody-consumes', '', 'page'],
  misfit: ['nobody-consumes', 'settings do not fit', 'page'],
  no_worker: ['nobody-consumes', 'no worker', 'notice'],
  redis_down: ['store-down', 'redis', 'page'],
  unsafe: ['store-unsafe', '', 'page'],
  behind: ['late', '', 'page'],
} as const

function causes({ figures, at, since }: State): Condition[] {
  const texts = findTexts(figures, at)
  const isConsumed = figures.recorded?.workers.some(isAlive) === true
  return (Object.keys(ALERTS) as (keyof typeof ALERTS)[]).flatMap((kind): Condition[] => {
    const text = texts[kind]
    if (text === undefined) return []
    const [name, subject, severity] = ALERTS[kind]
    // Events that wait for nobody are told as that.
    if (kind === 'behind' && !isConsumed) return []
    const what = typeof text === 'string' ? text : text(since.get(kind) ?? { at, isExact: false })
    return [{ name, subject, severity, text: alertText(name, what), peak: null }]
  })
}

/** One for each live source. */
function silences(recorded: Recorded, now: Date): Condition[] {
  return quietSources(recorded, now).map(({ source, text }) => ({
    name: 'silence',
    subject: source === 'live' ? '' : source,
    severity: 'notice',
    text: alertText('silence', text),
    peak: null,
  }))
}

/** One for each group of dead letters, and one more when it has grown to 10, 100 and 1,000. */
function deadLetters({ deadLetters: { newest } }: Recorded): Condition[] {
  return newest.flatMap(({ fingerprint, letters, event, reason }): Condition[] => {
    const are = letters.count === 1 ? 'event is a dead letter' : 'events are dead letters'
    const what = `${amountOf(letters)} ${are} for one reason (${reason.replaceAll('_', ' ')}, ${event ?? 'no event name'}).`
    const text = alertText('dead-letters', what)
    return [fingerprint, ...steps(fingerprint, letters.count)].map((subject) => ({
      name: 'dead-letters',
      subject,
      severity: 'notice',
      text,
      peak: letters.count,
    }))
  })
}

const steps = (fingerprint: string, count: number) =>
  STEPS.filter((least) => count >= least).map((least) => `${fingerprint} ${least}`)

/** Partitions that are missing, and retention that is behind. */
export async function storageConditions({ pool }: Db): Promise<Condition[]> {
  const [state, present] = await Promise.all([readRetention(pool), listPartitions(pool)])
  const aheadMs = coveredUntil(present, state.now).getTime() - state.now.getTime()
  const behind = behindMs(state, present)
  const found: Condition[] = []
  if (aheadMs < DAY_MS) {
    const what = `The partitions of the events end in ${span(aheadMs)}: then no event lands.`
    const text = alertText('partitions-missing', what)
    found.push({ name: 'partitions-missing', subject: '', severity: 'page', text, peak: null })
  }
  if (behind > DAY_MS) {
    const text = alertText('retention-behind', `Retention is ${span(behind)} behind its terms.`)
    found.push({ name: 'retention-behind', subject: '', severity: 'notice', text, peak: null })
  }
  return found
}
