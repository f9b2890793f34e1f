import {
  type DeadLetterSummary,
  type Operation,
  type RecordedAction,
  type SteeringName,
  steeringOf,
} from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { actPath, listPath } from '../parts/letter-paths.ts'
import { isErrorPast, stateOf } from '../parts/letter-state.ts'
import { counted } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago, moment } from '../parts/time.ts'
import { actionList } from './audit.ts'

export type OperationShown = {
  readonly operation: Operation
  /** Its letters that have failed again, the newest first. */
  readonly failures: readonly DeadLetterSummary[]
  /** The newest letter that it has acted on; undefined if there is none yet. */
  readonly newest: DeadLetterSummary | undefined
  readonly actions: readonly RecordedAction[]
  readonly mayAct: boolean
}

/** The page; its region is replaced until the operation has ended. */
export function operationPage(shown: OperationShown): Html {
  const { operation } = shown
  const region = operationRegion(shown)
  return operation.endedAt === null
    ? html`<div hx-sse:connect="/live/operations/${operation.id}" hx-swap="innerMorph">${region}</div>`
    : region
}

const grouped = (count: number) => count.toLocaleString('en')
const done = ({ taken, expected }: Operation) => `${grouped(taken)} of ${grouped(expected)}`

const TITLES: Readonly<Record<Operation['state'], (of: Operation) => string>> = {
  sampling: ({ sample, expected }) => `Trying the first ${sample} of ${grouped(expected)}`,
  waiting_for_go: ({ taken, expected }) =>
    `The first ${grouped(taken)} have ended. Go on with the other ${grouped(expected - taken)}?`,
  running: (operation) => `Under way: ${done(operation)}`,
  paused: (operation) => `Paused at ${done(operation)}`,
  done: (operation) => `Done: ${done(operation)}`,
  stopped: (operation) =>
    `Stopped after ${counted(operation.stopAfter ?? 0, 'failure')}, at ${done(operation)}`,
  cancelled: (operation) => `Cancelled at ${done(operation)}`,
}
const DOTS: Readonly<Record<Operation['state'], string>> = {
  sampling: 'wait',
  waiting_for_go: 'wait',
  running: 'wait',
  paused: 'none',
  done: '',
  stopped: 'bad',
  cancelled: 'none',
}

export function operationRegion({ operation, failures, newest, actions, mayAct }: OperationShown): Html {
  const { id, kind, state, words, reason, actor, createdAt, endedAt, taken, expected, rate } = operation
  const isReplay = kind === 'replay'
  return html`<h1 class="say"><span class="dot ${DOTS[state]}"></span><span>${TITLES[state](operation)}</span></h1>
<p>Operation ${id} · ${stateOf(state)} · ${kind}: ${shown(words, 1_000)}</p>
<p class="soft">“${shown(reason, 1_000)}” · ${shown(actor, 80)}, ${moment(createdAt)}${endedAt && html` · ended ${moment(endedAt)}`}${rate !== null && ` · at most ${rate} a second`}</p>
${newest && example(newest)}
<meter min="0" max="${expected}" value="${Math.min(taken, expected)}" aria-label="Letters that were acted on">${taken} of ${expected}</meter>
${mayAct && steering(operation)}
<div class="tiles">
${tile('Acted on', taken)}
${isReplay && tile('Landed', operation.landed, 'good')}
${isReplay && tile('Failed again', operation.failed, operation.failed > 0 ? 'bad' : '')}
${isReplay && endedAt === null && tile('Under way', Math.max(0, taken - operation.landed - operation.failed))}
${state === 'done' && tile('Reached by others before', operation.skipped)}
</div>
${isReplay && failures.length > 0 && failureList(operation, failures)}
${mayAct && kind === 'discard' && endedAt !== null && taken > 0 && html`<div class="row"><a class="button" href="${actPath('undo', { operation: id })}">Open again what it discarded…</a></div>`}
<h2>Acts</h2>
${actionList(actions)}`
}

function example({ id, state, errorClass, errorMessage }: DeadLetterSummary): Html {
  const is = isErrorPast(state)
    ? stateOf(state)
    : html`<code>${shown(errorClass)}</code> ${shown(errorMessage)}`
  return html`<p>For example <a href="/dead-letters/${id}">letter ${id}</a>: ${is}</p>`
}

function tile(name: string, count: number, colour = ''): Html {
  return html`<div class="tile"><span>${name}</span><strong class="${colour}">${grouped(count)}</strong></div>`
}

const STEERING: Readonly<Record<SteeringName, readonly [text: string, style: string]>> = {
  go: ['Go on with all', 'primary'],
  pause: ['Pause', ''],
  resume: ['Resume', 'primary'],
  cancel: ['Cancel', 'danger'],
}

function steering({ id, state }: Operation): Html | null {
  const names = steeringOf(state)
  if (names.length === 0) return null
  return html`<div class="row">${names.map((name) => {
    const [text, style] = STEERING[name]
    return html`<form method="post" action="/operations/${id}/${name}"><button type="submit" class="${style}">${text}</button></form>`
  })}</div>`
}

function failureList({ id, failed }: Operation, failures: readonly DeadLetterSummary[]): Html {
  return html`<h2>Failed again, with the newest error</h2>
<div class="card"><table class="stacked"><thead><tr><th>Letter</th><th>Error</th><th>Journey</th><th>Failed</th></tr></thead>
<tbody>${failures.map(
    (letter) => html`<tr><td><a href="/dead-letters/${letter.id}">${letter.id}</a></td>
<td class="wide">${shown(letter.errorMessage)} <code>${shown(letter.errorClass)}</code></td>
<td class="mono">${letter.journeyId && shown(letter.journeyId, 80)}</td><td class="soft">${ago(letter.lastFailedAt)}</td></tr>`,
  )}</tbody></table></div>
${failed > failures.length && html`<p><a href="${listPath('open', { operation: id })}">All ${grouped(failed)}</a></p>`}`
}
