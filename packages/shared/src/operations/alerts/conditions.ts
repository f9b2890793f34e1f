import { type Condition, causeWithoutValues } from '../../db/index.ts'
import { kindOf } from '../../runtime/index.ts'
import { ALIVE_MS, findTexts, isAlive, ofEnvironments } from '../state/causes.ts'
import { amountOf, counted } from '../state/words.ts'
import { drift, hasMoreDrift } from './drift.ts'
import type { Facts } from './facts.ts'
import { storage, subjectsOfErased } from './storage.ts'
import { credentialsRefused, fallback, findings, isFallbackUnsure, silence } from './streak-conditions.ts'
import { alertText, GIVES_UP_SOON, mayGiveUpSoon, meaningOfRefusals, severityFor } from './texts.ts'

/**
 * All conditions. A new one is a function here, its words in `texts.ts`, and a heading of docs/runbooks.md with the
 * same first command.
 */
const FINDERS: readonly ((facts: Facts) => Condition[])[] = [
  refusing,
  causes,
  deadLetters,
  credentialsRefused,
  fallback,
  silence,
  findings,
  storage,
  subjectsOfErased,
  drift,
]

/** What holds now, and the names whose conditions cannot be judged or follow from another one. */
export type Conditions = { readonly found: readonly Condition[]; readonly held: readonly string[] }

/** The conditions of a state. Postgres answers; while it does not, there is no table for incidents either. */
export function conditionsOf(facts: Facts): Conditions {
  const { deadLetters, refusals } = facts.recorded
  const unknown = [
    // While Redis is away, its jobs wait, and nobody knows how many.
    ...(facts.state.figures.stores.redis === 'down' ? FOLLOWING : []),
    // The processes have to give a sign of life first.
    ...(facts.upMs < ALIVE_MS ? ['no-ingest', 'nobody-consumes'] : []),
  ]
  const held = [
    // The state names the newest groups alone: one that it does not name may be there all the same.
    ...(deadLetters.groups > deadLetters.newest.length ? ['dead-letters', 'conflict'] : []),
    // It is over when what was refused has come again, or is lost.
    ...(refusals.awaited > 0 ? ['refusing'] : []),
    ...(hasMoreDrift(facts) ? ['drift'] : []),
    ...(isFallbackUnsure(facts) ? ['fallback'] : []),
    ...(facts.storage.isRedisSilent ? ['replica-gone'] : []),
    ...unknown,
  ]
  const found = FINDERS.flatMap((find) => find(facts))
  return { found: found.filter(({ name }) => !unknown.includes(name)), held }
}

const FOLLOWING: readonly string[] = ['late', 'rejected', 'store-unsafe', 'fallback', 'replica-gone']

function refusing({ recorded: { refusals, isRefusing, sources }, state: { at } }: Facts): Condition[] {
  const { awaited, lost, givesUpAt } = refusals
  const found: Condition[] = []
  const meaning = meaningOfRefusals({ events: awaited, givesUpAt }, at)
  if (isRefusing) {
    // No store takes events, whichever source sends the next one.
    const severity = severityFor(sources.map(({ kind }) => kind))
    const what = `Ingests refuse events${ofEnvironments(refusals, 'awaited')}. ${meaning}`
    const text = alertText('refusing', what)
    found.push({ name: 'refusing', subject: '', severity, text, peak: awaited, recovers: true })
  }
  function add(name: string, subject: string, figure: 'awaited' | 'lost', what: string): void {
    const some = Object.entries(refusals.byEnvironment).filter(([, figures]) => figures[figure] > 0)
    const severity = severityFor(some.map(([environment]) => kindOf(sources, environment)))
    // Sandboxes alone have a subject of their own, so that live events are told anew.
    const whose = severity === 'notice' ? `${subject} sandbox`.trim() : subject
    const text = alertText(name, what)
    found.push({ name, subject: whose, severity, text, peak: refusals[figure], recovers: false })
  }
  if (awaited > 0 && givesUpAt && mayGiveUpSoon(givesUpAt, at)) {
    add('refusing', GIVES_UP_SOON, 'awaited', meaning)
  }
  if (lost > 0) {
    const which = `${counted(lost, 'event')} that Sluice refused${ofEnvironments(refusals, 'lost')}`
    add('given-up', '', 'lost', `IDWise has given up on ${which}.`)
  }
  return found
}

/** The causes of the state that are alerts as they are. */
const ALERTS = {
  no_ingest: ['no-ingest', '', 'page'],
  nobody_consumes: ['nobody-consumes', '', 'page'],
  misfit: ['nobody-consumes', 'settings do not fit', 'page'],
  no_worker: ['nobody-consumes', 'no worker', 'notice'],
  rejected: ['rejected', '', 'page'],
  redis_down: ['store-down', 'redis', 'page'],
  unsafe: ['store-unsafe', '', 'page'],
  behind: ['late', '', 'page'],
} as const

function causes({ state: { figures, at, since }, recorded }: Facts): Condition[] {
  const texts = findTexts(figures, at)
  const isConsumed = recorded.workers.some(isAlive)
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

const STEPS = [10, 100, 1_000] as const

/** One for each group of dead letters, and one more when it has grown to 10, 100 and 1,000. */
function deadLetters({ recorded: { deadLetters } }: Facts): Condition[] {
  return deadLetters.newest.flatMap(({ fingerprint, letters, event, reason, ...error }): Condition[] => {
    const name = reason === 'conflict' ? 'conflict' : 'dead-letters'
    const are = letters.count === 1 ? 'event is a dead letter' : 'events are dead letters'
    const cause = causeWithoutValues(error.errorClass, error.errorMessage)
    const what = [
      `${amountOf(letters)} ${are} for one reason (${reason.replaceAll('_', ' ')}, ${event ?? 'no event name'}): ${cause}.`,
      `This group: npx sluice dead list --group ${fingerprint}`,
    ].join('\n')
    const rest = { name, severity: 'notice', text: alertText(name, what), peak: letters.count } as const
    const grown = STEPS.filter((least) => letters.count >= least)
    return [
      { ...rest, subject: fingerprint },
      ...grown.map((least) => ({ ...rest, subject: `${fingerprint} ${least}`, recovers: false })),
    ]
  })
}
