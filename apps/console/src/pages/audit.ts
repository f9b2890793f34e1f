import type { RecordedAction } from '@sluice/shared/operations'
import { type Html, html, type Part } from '../html.ts'
import { noMatch, nothingYet, pager, query } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago } from '../parts/time.ts'

export function auditPage(
  actions: readonly RecordedAction[],
  {
    actor = '',
    target = '',
    ...cursors
  }: { actor?: string; target?: string; before: number | undefined; older: number | undefined },
): Html {
  const isFiltered = actor !== '' || target !== ''
  return html`<h1>Who did what</h1>
<p class="soft">Every act of a person, by page, API or command line, with the reason. What an operation did to each letter stands on the letter.</p>
<form class="filters" action="/audit">
<label>Who <input type="text" name="actor" value="${actor}" maxlength="200"></label>
<label>On what <input type="text" name="target" value="${target}" maxlength="200" placeholder="dead_letter 42"></label>
<button type="submit">Filter</button>${isFiltered && html` <a href="/audit">Clear filters</a>`}
</form>
${actions.length > 0 ? actionList(actions) : isFiltered ? noMatch('No act matches.', '/audit') : nothingYet('Nothing yet', 'Nobody has replayed, discarded or changed anything.')}
${pager({
  newest: cursors.before === undefined ? undefined : `/audit${query({ actor, target })}`,
  older: cursors.older === undefined ? undefined : `/audit${query({ actor, target, before: cursors.older })}`,
})}`
}

/** A table of acts, also on the page of what they were done to. */
export function actionList(actions: readonly RecordedAction[]): Html {
  return html`<div class="card"><table class="stacked">
<thead><tr><th>When</th><th>Who</th><th>What</th><th>Why</th></tr></thead>
<tbody>${actions.map(
    ({ at, actor, action, target, reason, operation, operationId }) => html`<tr>
<td class="soft">${ago(at)}</td><td>${shown(actor, 80)}</td>
<td class="wide">${action.replaceAll('_', ' ')} ${linked(target)}${operationId !== null && html` <span class="soft">by <a href="/operations/${operationId}">operation ${operationId}</a></span>`}${operation && operationId === null && html`<br><span class="soft">${operation.kind}: ${operation.expected.toLocaleString('en')} ${shown(operation.words)}</span>`}</td>
<td>${reason && shown(reason, 1_000)}</td></tr>`,
  )}</tbody></table></div>`
}

const PLACES: Readonly<Record<string, string>> = {
  dead_letter: '/dead-letters/',
  operation: '/operations/',
  drift: '/drift#drift-',
}

function linked(target: string): Part {
  const [, kind = '', id] = /^(\w+) (\d{1,15})$/.exec(target) ?? []
  const place = Object.hasOwn(PLACES, kind) ? PLACES[kind] : undefined
  return place ? html`<a href="${place}${id}">${kind.replace('_', ' ')} ${id}</a>` : shown(target)
}
