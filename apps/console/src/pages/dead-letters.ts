import { DEAD_LETTER_REASONS } from '@sluice/shared/disposition'
import {
  DEAD_LETTER_STATES,
  type DeadLetterState,
  type DeadLetterSummary,
  type LetterCount,
  type LetterFilter,
} from '@sluice/shared/operations'
import { type Html, html, type Part } from '../html.ts'
import { environmentBadge } from '../parts/badge.ts'
import { actPath, filterPairs, listPath, newsPath } from '../parts/letter-paths.ts'
import { stateOf } from '../parts/letter-state.ts'
import { journeyPath, letterPath } from '../parts/links.ts'
import { newerHere } from '../parts/newer.ts'
import { reasonName, reasonOf } from '../parts/reason.ts'
import { counted, noMatch, nothingYet, pager } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago } from '../parts/time.ts'

export type LettersShown = {
  readonly letters: readonly DeadLetterSummary[]
  readonly total: LetterCount
  /** Undefined: all states. */
  readonly state: DeadLetterState | undefined
  readonly filter: LetterFilter
  /** Those that the filter offers. */
  readonly environments: readonly string[]
  readonly before: number | undefined
  /** The cursor of the next page; undefined on the last one. */
  readonly older: number | undefined
  readonly mayAct: boolean
}

export function letterTabs(here: 'groups' | 'list'): Html {
  const tab = (name: 'groups' | 'list', href: string, text: string) =>
    name === here
      ? html`<a href="${href}" aria-current="page">${text}</a>`
      : html`<a href="${href}">${text}</a>`
  return html`<div class="tabs">${tab('groups', '/dead-letters', 'Groups')}${tab('list', '/dead-letters?view=list', 'List')}</div>`
}

export function deadLettersPage(given: LettersShown): Html {
  const { letters, total, state, filter } = given
  const name = state ?? 'all'
  const count = `${total.isAtLeast ? 'At least ' : ''}${counted(total.count, 'dead letter')}`
  return html`<h1>${count}${state && ` ${state}`}</h1>
${letterTabs('list')}
${filterForm(given)}
${given.before === undefined && newerHere(newsPath(name, filter, letters[0]?.id ?? 0))}
${filter.fingerprint && letters[0] && html`<p><code>${shown(letters[0].errorClass)}</code> ${shown(letters[0].errorMessage)}</p>`}
${letters.length === 0 ? empty(given) : table(given)}
${pager({
  newest: given.before === undefined ? undefined : listPath(name, filter),
  older: given.older === undefined ? undefined : listPath(name, filter, { before: String(given.older) }),
})}`
}

function empty({ state, filter }: LettersShown): Html {
  if (Object.keys(filter).length > 0) {
    return noMatch('No dead letter matches these filters.', '/dead-letters?view=list')
  }
  return nothingYet(
    state ? `None is ${state}` : 'Nothing yet',
    'An event that cannot be landed becomes a dead letter. It stays until somebody replays or discards it.',
  )
}

function options(values: readonly (readonly [value: string, text: string])[], chosen: string): Html[] {
  return values.map(([value, text]) =>
    value === chosen
      ? html`<option value="${value}" selected>${text}</option>`
      : html`<option value="${value}">${text}</option>`,
  )
}

function filterForm({ state, filter, environments: names }: LettersShown): Html {
  const states = [...DEAD_LETTER_STATES, 'all'].map((each) => [each, each] as const)
  const reasons = DEAD_LETTER_REASONS.map((each) => [each, reasonName(each)] as const)
  const environments = names.map((each) => [each, each] as const)
  const any = ['', 'any'] as const
  const { reason = '', environment = '', journeyId = '', referenceNo = '', failedSince, ids } = filter
  const kept = filterPairs(filter).filter(([name]) =>
    ['ids', 'fingerprint', 'operation', 'failedBefore'].includes(name),
  )
  const group = filter.fingerprint && html`<span class="badge sandbox">group ${filter.fingerprint}</span>`
  const operation = filter.operation && html`<span class="badge sandbox">operation ${filter.operation}</span>`
  const chosen = ids && html`<span class="badge sandbox">${counted(ids.length, 'number')}</span>`
  return html`<form class="filters" action="/dead-letters">
<input type="hidden" name="view" value="list">
${kept.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<label>State <select name="state">${options(states, state ?? 'all')}</select></label>
<label>Reason <select name="reason">${options([any, ...reasons], reason)}</select></label>
<label>Environment <select name="environment">${options([any, ...environments], environment)}</select></label>
<label>Journey <input type="text" name="journeyId" value="${journeyId}" maxlength="512" size="14"></label>
<label>Reference <input type="text" name="referenceNo" value="${referenceNo}" maxlength="512" size="14"></label>
<label>Failed since <input type="datetime-local" name="failedSince" value="${failedSince?.slice(0, 16) ?? ''}"></label>
<button type="submit">Filter</button>
${group}${operation}${chosen}
${Object.keys(filter).length > 0 && html`<a href="/dead-letters?view=list">Clear filters</a>`}
</form>`
}

function table({ letters, total, state, filter, mayAct }: LettersShown): Html {
  const kinds =
    state === 'discarded'
      ? [['undo', 'Open again']]
      : [
          ['replay', 'Replay'],
          ['discard', 'Discard'],
        ]
  const canAct = mayAct && (state === 'open' || state === 'discarded')
  const list = html`<div class="card"><table class="stacked">
<thead><tr>${canAct && html`<th><input type="checkbox" data-all="ids" aria-label="Select all of this page"></th>`}<th>Letter</th><th><span class="unseen">Environment</span></th><th>State</th><th>What failed</th><th>Journey</th><th>Reference</th><th class="number">Tries</th><th>Failed</th></tr></thead>
<tbody>${letters.map((letter) => row(letter, canAct))}</tbody>
</table></div>`
  if (!canAct) return list
  const all =
    Object.keys(filter).length > 0 && !total.isAtLeast
      ? kinds.map(
          ([kind = '', text]) =>
            html`<a class="button" href="${actPath(kind, filter)}">${text} all ${total.count.toLocaleString('en')}…</a>`,
        )
      : null
  return html`<form action="/dead-letters/act">
<div class="row">${kinds.map(([kind, text]) => html`<button type="submit" name="kind" value="${kind}" data-key="${kind === 'replay' && 'r'}">${text} selected…</button>`)}${all}</div>
${list}
</form>`
}

function row(letter: DeadLetterSummary, canAct: boolean): Html {
  const { id, environment, journeyId, referenceNo, event, errorMessage, reason } = letter
  const journey: Part =
    journeyId && environment
      ? html`<a class="mono" href="${journeyPath({ environment, journeyId })}">${shown(journeyId, 80)}</a>`
      : null
  return html`<tr>
${canAct && html`<td><input type="checkbox" name="ids" value="${id}" aria-label="Select ${id}"></td>`}
<td class="nowrap"><a href="${letterPath(id)}">${id}</a></td>
<td>${environmentBadge(environment)}</td>
<td>${stateOf(letter.state)}</td>
<td class="wide">${reasonOf(reason)} <span class="soft">· ${shown(event ?? 'no event name', 80)}</span><br>${shown(errorMessage, 160)}</td>
<td>${journey}</td>
<td>${referenceNo && shown(referenceNo, 80)}</td>
<td class="number" data-label="tries">${letter.attempts}</td>
<td class="soft">${ago(letter.lastFailedAt)}</td>
</tr>`
}
