import type { Condition } from '../../db/index.ts'
import { type Finding, kindOf } from '../../runtime/index.ts'
import { counted, span, timeOfDay } from '../state/words.ts'
import type { Facts } from './facts.ts'
import { alertText } from './texts.ts'

const MOST_WRONG = 10
const FALLBACK_MS = 300_000
/** A minute that began so long ago, and the one after it. */
const LATELY_MS = 120_000
const QUIET_MS = 1_800_000
const QUIET_TIMES = 3

/** A sender that was accepted before is refused: a secret was changed at one end alone. */
export function credentialsRefused({ recorded, state }: Facts): Condition[] {
  return Object.entries(recorded.streaks.credentials).flatMap(([environment, { requests, since }]) => {
    if (requests < MOST_WRONG) return []
    const last = recorded.flow.lastEvents[environment]
    const before = last ? ` The last event was accepted at ${timeOfDay(last, state.at)}.` : ''
    const what = `${counted(requests, 'request')} in a row for ${environment} had wrong credentials, since ${timeOfDay(since, state.at)}.${before} Was the secret changed?`
    const text = alertText('credentials-refused', what)
    const severity = kindOf(recorded.sources, environment) === 'live' ? 'page' : 'notice'
    return [{ name: 'credentials-refused', subject: environment, severity, text, peak: requests }]
  })
}

/** Redis is there, and Postgres takes its place: it did five minutes ago, and does now. */
export function fallback(facts: Facts): Condition[] {
  const { recorded, state } = facts
  const since = recorded.streaks.inbox?.since
  if (!since || isFallbackUnsure(facts) || state.at.getTime() - since.getTime() < FALLBACK_MS) return []
  const what = `Events have gone to the inbox since ${timeOfDay(since, state.at)}, although Redis is configured.`
  return [
    { name: 'fallback', subject: '', severity: 'notice', text: alertText('fallback', what), peak: null },
  ]
}

/** No event has come lately that could show which store takes it: what was told is not over. */
export function isFallbackUnsure({ recorded, state }: Facts): boolean {
  const last = recorded.streaks.inbox?.last
  return last !== undefined && state.at.getTime() - last.getTime() >= LATELY_MS
}

/** Nothing came of a live source for far longer than ever in the same hour of the last weeks. */
export function silence({ recorded: { sources, flow, longestGapMs }, state }: Facts): Condition[] {
  return sources.flatMap(({ name, kind }): Condition[] => {
    const [last, longest] = [flow.lastEvents[name], longestGapMs[name]]
    if (kind !== 'live' || !last || !longest) return []
    const quietMs = state.at.getTime() - last.getTime()
    if (quietMs < Math.max(QUIET_MS, QUIET_TIMES * longest)) return []
    const what = `No ${name} event for ${span(quietMs)}; in this hour of the last weeks they were ${span(longest)} apart at most.`
    const text = alertText('silence', what)
    return [{ name: 'silence', subject: name === 'live' ? '' : name, severity: 'notice', text, peak: null }]
  })
}

const NOTICES: readonly Finding['alert'][] = ['replica-gone', 'backup-behind']

/** What the checks of the processes have found, once for each store. */
export function findings({ recorded }: Facts): Condition[] {
  return recorded.findings.map(({ alert, name, text, advice }) => ({
    name: alert,
    subject: name,
    severity: NOTICES.includes(alert) ? 'notice' : 'page',
    text: alertText(alert, `${name}: ${text}. ${advice}`),
    peak: null,
    // What was emptied is not filled again.
    recovers: alert !== 'store-emptied',
  }))
}
