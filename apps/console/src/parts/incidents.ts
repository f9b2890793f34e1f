import type { ShownIncident } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { runbookLink } from './links.ts'
import { shown } from './text.ts'
import { ago } from './time.ts'

/** What people were told of and is not over, and who looks after it. */
export function incidentTable(
  incidents: readonly ShownIncident[],
  isOperator: boolean,
  now: Date,
): Html | null {
  if (incidents.length === 0) return null
  const rows = incidents.map(({ id, name, severity, text, openedAt, notifiedAt, acknowledgedBy }) => {
    const [what = '', ...more] = text.split('\n')
    return html`<tr>
<td data-label="Since">${ago(openedAt, now.getTime())}</td>
<td class="wide" hx-ignore><span class="${severity === 'page' && 'bad'}">${name}</span> · ${shown(what, 300)}<br><small class="soft">${more.map((line, index) => html`${index > 0 && ' · '}${lineOf(line)}`)}</small></td>
<td data-label="Told">${notifiedAt ? ago(notifiedAt, now.getTime()) : 'not yet'}</td>
<td>${acknowledgedBy !== null ? shown(acknowledgedBy) : isOperator ? html`<form method="post" action="/incidents/${id}/ack"><button type="submit">I look after it</button></form>` : 'nobody yet'}</td>
</tr>`
  })
  return html`<h2 id="incidents">Open incidents</h2>
<div class="card"><table class="stacked"><thead><tr><th>Since</th><th>What</th><th>Told</th><th>Looked after by</th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}

/** The last line of an alert is where the documentation says more. */
function lineOf(line: string): Html | string {
  const [, place] = /^More: (\S+)$/.exec(line) ?? []
  return place ? runbookLink(place) : shown(line, 300)
}
