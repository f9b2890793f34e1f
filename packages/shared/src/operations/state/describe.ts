import type { SeenProcess } from '../../db/index.ts'
import { allWaiting, clockText, isAlive, ofEnvironments } from './causes.ts'
import type { Processing, Recorded } from './figures.ts'
import { REFUSED } from './outcomes.ts'
import type { State } from './state.ts'
import { amountOf, counted, number, span } from './words.ts'

const MARKS = { ok: 'OK', warn: 'WARN', fail: 'FAIL' }

/** The state as plain text of at most 25 lines. */
export function describeState(state: Omit<State, 'since' | 'outage'>): string {
  const { at, level, sentence, causes, figures } = state
  const lines = [
    `${MARKS[level]}  ${sentence}`,
    `as of ${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`,
    '',
  ]
  for (const [index, { text, next }] of causes.entries()) {
    const what = [next.text, next.command ?? next.link].filter(Boolean).join(' ')
    lines.push(`${index + 1}. ${text}`, `   → ${what} (${next.runbook})`)
  }
  if (causes.length > 0) lines.push('')
  const rows = figureTexts(state)
  const width = Math.max(...rows.map(([name]) => name.length))
  for (const [name, text] of rows) lines.push(`${name.padEnd(width)}  ${text}`)
  if (figures.recorded && figures.stores.postgres !== 'up') {
    lines.push(`These figures are ${span(at.getTime() - figures.recorded.asOf.getTime())} old.`)
  }
  return lines.join('\n')
}

/** Each figure with its name, in words. */
export function figureTexts({ at, figures }: Pick<State, 'at' | 'figures'>): [name: string, text: string][] {
  const { waiting, recorded } = figures
  const rows: [string, string][] = [['waiting', describeWaiting(waiting)]]
  if (!recorded) return [...rows, ['everything else', 'not known while Postgres does not answer']]
  const { flow, workers, ingests, refusals, deadLetters } = recorded
  const refused = Object.entries(flow.lastHour.refused).map(
    ([outcome, n]) => `${REFUSED[outcome] ?? outcome} ${number(n)}`,
  )
  const { open, groups, newestAt } = deadLetters
  return [
    [
      'events a minute',
      `${number(perMinute(recorded))} (${number(flow.lastHour.accepted)} in the last hour, ${number(flow.lastHour.duplicates)} duplicates)`,
    ],
    ...rows,
    [
      'receipt to row',
      flow.processing ? describeProcessing(flow.processing) : 'nothing landed in the last ten minutes',
    ],
    ['refused, last hour', refused.length > 0 ? refused.join(', ') : 'none'],
    ...(refusals.awaited > 0
      ? ([
          [
            "the sender's clock",
            `${counted(refusals.awaited, 'event')}${ofEnvironments(refusals, 'awaited')}: ${clockText(recorded, at)}`,
          ],
        ] as [string, string][])
      : []),
    [
      'dead letters',
      open.count === 0
        ? 'none'
        : `${amountOf(open)} in ${counted(groups, 'group')}${newestAt ? `, newest ${span(at.getTime() - newestAt.getTime())} ago` : ''}`,
    ],
    ['workers', describeProcesses(workers)],
    ['ingests', describeProcesses(ingests)],
    ['last event', describeLast(recorded, at)],
  ]
}

/** Of the last whole minute, or of the present one if that has more. */
export function perMinute({ flow }: Recorded): number {
  return Math.max(0, ...flow.perMinute.slice(-2).map(({ accepted }) => accepted))
}

const AWAY = { inbox: 'Postgres', queue: 'Redis' } as const

function describeWaiting(waiting: State['figures']['waiting']): string {
  const { inbox, queue, oldestMs } = waiting
  const where = [
    ...(inbox ? [`${amountOf(inbox)} in the inbox`] : []),
    ...(queue === null ? [] : [`${number(queue)} in Redis`]),
  ]
  const age = oldestMs === null ? '' : `; the oldest for ${span(oldestMs)}`
  if (waiting.unknown.length > 0) {
    const away = waiting.unknown.map((place) => `${AWAY[place]} does not answer`).join(', ')
    return `not known: ${[away, ...where].join('; ')}${age}`
  }
  return allWaiting(waiting).count === 0 ? 'nothing' : `${where.join(', ')}${age}`
}

function describeProcessing({ p50Ms, p95Ms, p99Ms }: Processing): string {
  const within = (ms: number | null) =>
    ms === null ? 'more than 5 min' : ms < 1_000 ? `within ${ms} ms` : `within ${span(ms)}`
  return `half ${within(p50Ms)}, 95 % ${within(p95Ms)}, 99 % ${within(p99Ms)}`
}

/** Those that live; or when the last one was seen. */
function describeProcesses(seen: readonly SeenProcess[]): string {
  const living = seen.filter(isAlive)
  const [newest] = living
  if (!newest) return seen[0] ? `none; the last one was seen ${span(seen[0].silentMs)} ago` : 'none'
  const releases = [...new Set(living.map(({ release }) => release))].sort()
  return `${living.length} (${releases.join(', ')}), seen ${span(newest.silentMs)} ago`
}

function describeLast({ flow, usualGapMs }: Recorded, at: Date): string {
  const texts = Object.entries(flow.lastEvents).map(([environment, last]) => {
    const usual = usualGapMs[environment]
    const gap = usual ? ` (usual at this hour: one in ${span(usual)})` : ''
    return last ? `${environment} ${span(at.getTime() - last.getTime())} ago${gap}` : `${environment} none`
  })
  return texts.join(', ')
}
