import type { Operation } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { stateOf } from '../parts/letter-state.ts'
import { nothingYet, pager, query } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago } from '../parts/time.ts'

export function operationsPage(
  operations: readonly Operation[],
  cursors: { before: number | undefined; older: number | undefined },
): Html {
  const underWay = operations.filter(({ endedAt }) => endedAt === null).length
  const title =
    operations.length === 0 ? 'No operations' : underWay > 0 ? `${underWay} under way` : 'None is under way'
  return html`<h1>${title}</h1>
<p class="soft">Replays and discards of many dead letters. A scheduler carries them out, also when this page is closed.</p>
${
  operations.length === 0
    ? nothingYet(
        'Nothing yet',
        html`Start one from a <a href="/dead-letters">group of dead letters</a>, from a list, or with <code>npx sluice dead replay --group</code>.`,
      )
    : html`<div class="card"><table class="stacked">
<thead><tr><th>Operation</th><th>State</th><th>What</th><th class="number">Done</th><th class="number">Landed</th><th class="number">Failed</th><th>By</th></tr></thead>
<tbody>${operations.map(row)}</tbody></table></div>`
}
${pager({
  newest: cursors.before === undefined ? undefined : '/operations',
  older: cursors.older === undefined ? undefined : `/operations${query({ before: cursors.older })}`,
})}`
}

function row(operation: Operation): Html {
  const { id, kind, state, words, reason, taken, expected, landed, failed, actor, createdAt } = operation
  const isReplay = kind === 'replay'
  return html`<tr>
<td class="nowrap"><a href="/operations/${id}">${id}</a></td>
<td>${stateOf(state)}</td>
<td class="wide">${kind}: ${shown(words)}<br><span class="soft">“${shown(reason)}”</span></td>
<td class="number" data-label="done">${taken.toLocaleString('en')} of ${expected.toLocaleString('en')}</td>
<td class="number" data-label="landed">${isReplay && landed.toLocaleString('en')}</td>
<td class="number ${isReplay && failed > 0 ? 'bad' : ''}" data-label="failed">${isReplay && failed.toLocaleString('en')}</td>
<td class="soft">${shown(actor, 80)}<br>${ago(createdAt)}</td>
</tr>`
}
