import type { ShownIncident } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { runbookLink } from './links.ts'
import { counted } from './states.ts'
import { shown } from './text.ts'
import { ago } from './time.ts'

/** So many are shown in full; the others are folded. */
const IN_FULL = 5

const HEADINGS = { page: 'Open incidents', notice: 'Open notices' } as const

/** What people were told of and is not over, and who looks after it: the newest of each name first. */
export function incidentTable(
  incidents: readonly ShownIncident[],
  severity: keyof typeof HEADINGS,
  { isOperator, now }: { isOperator: boolean; now: Date },
): Html | null {
  const all = incidents
    .filter((incident) => incident.severity === severity)
    .toSorted((a, b) => b.openedAt.getTime() - a.openedAt.getTime())
  if (all.length === 0) return null
  // Each difference from what is documented is an incident of its own; the page of drift lists them.
  const drifts = all.filter(({ name }) => name === 'drift')
  const [drift] = drifts
  const others = all.filter(({ name }) => name !== 'drift')
  const firsts = [...Map.groupBy(others, ({ name }) => name).values()].flatMap(([newest]) => newest ?? [])
  const rows = [...firsts, ...others.filter((each) => !firsts.includes(each))].map((each) =>
    row(each, isOperator, now),
  )
  if (drift)
    rows.splice(Math.min(firsts.length, IN_FULL - 1), 0, driftRow(drift.openedAt, drifts.length, now))
  const more = rows.length - IN_FULL
  return html`<h2 id="${severity}s">${HEADINGS[severity]}</h2>
${table(rows.slice(0, IN_FULL))}${more > 0 && html`<details><summary>${more.toLocaleString('en')} more</summary>${table(rows.slice(IN_FULL))}</details>`}`
}

function table(rows: readonly Html[]): Html {
  return html`<div class="card"><table class="stacked"><thead><tr><th>Since</th><th>What</th><th>Told</th><th>Looked after by</th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}

function row(
  { id, name, severity, text, openedAt, notifiedAt, acknowledgedBy }: ShownIncident,
  isOperator: boolean,
  now: Date,
): Html {
  const [what = '', ...more] = text.split('\n')
  return html`<tr>
<td data-label="Since">${ago(openedAt, now.getTime())}</td>
<td class="wide" hx-ignore><span class="${severity === 'page' && 'bad'}">${name}</span> · ${shown(what, 300)}<br><small class="soft">${more.map((line, index) => html`${index > 0 && ' · '}${lineOf(line)}`)}</small></td>
<td data-label="Told">${notifiedAt ? ago(notifiedAt, now.getTime()) : 'not yet'}</td>
<td>${acknowledgedBy !== null ? shown(acknowledgedBy) : isOperator ? html`<form method="post" action="/incidents/${id}/ack"><button type="submit">I look after it</button></form>` : 'nobody yet'}</td>
</tr>`
}

function driftRow(newestAt: Date, count: number, now: Date): Html {
  return html`<tr>
<td data-label="Newest">${ago(newestAt, now.getTime())}</td>
<td class="wide">drift · ${counted(count, 'difference')} from what IDWise documents: see <a href="/drift">Drift</a></td>
<td></td><td></td>
</tr>`
}

/** The last line of an alert is where the documentation says more. */
function lineOf(line: string): Html | string {
  const [, place] = /^More: (\S+)$/.exec(line) ?? []
  return place ? runbookLink(place) : shown(line, 300)
}
