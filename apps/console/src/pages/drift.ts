import { type DriftRow, describeDrift, eventsOf } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { environmentBadge } from '../parts/badge.ts'
import { eventPath } from '../parts/links.ts'
import { counted, nothingYet } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago } from '../parts/time.ts'

type Shown = {
  /** Undefined before the first look. */
  readonly look: { readonly lookedAt: Date; readonly events: number; readonly countedSince: Date } | undefined
  readonly mayAct: boolean
}

/** How the events differ from what IDWise documents: what is new, and what somebody knows of. */
export function driftPage(rows: readonly DriftRow[], { look, mayAct }: Shown): Html {
  const open = rows.filter(({ acknowledgedBy }) => acknowledgedBy === null)
  const known = rows.filter(({ acknowledgedBy }) => acknowledgedBy !== null)
  const title =
    open.length === 0
      ? 'IDWise sends what it documents'
      : `${counted(open.length, 'difference')} from what IDWise documents`
  return html`<h1>${title}</h1>
<p class="soft">Every one of these events has landed. ${look ? html`Events are looked at all the time, of very many a sample: ${counted(look.events, 'event')} since ${ago(look.countedSince)}, the last time ${ago(look.lookedAt)}.` : 'No event has been looked at yet.'}</p>
${open.length > 0 ? html`${table(open, mayAct)}${mayAct && open.length > 1 && html`<div class="pages">${ackForm(open, `I know all ${open.length}`)}</div>`}` : known.length === 0 && nothingYet('Nothing yet', 'An unknown event name, field, value, type or encoding shows here, once, with an event that has it.')}
${known.length > 0 && html`<h2>Known</h2>${table(known, mayAct)}`}`
}

function table(rows: readonly DriftRow[], mayAct: boolean): Html {
  return html`<div class="card"><table class="stacked">
<thead><tr><th>First seen</th><th>From</th><th>What</th><th class="number">Events</th><th>Last seen</th><th>Sample</th><th>Known to</th></tr></thead>
<tbody>${rows.map((row) => rowOf(row, mayAct))}</tbody></table></div>`
}

function rowOf(row: DriftRow, mayAct: boolean): Html {
  const { id, environment, count, firstSeenAt, lastSeenAt, sample, acknowledgedBy, acknowledgedAt } = row
  const events = eventsOf(row)
  return html`<tr id="drift-${id}">
<td data-label="First seen">${ago(firstSeenAt)}</td>
<td>${environmentBadge(environment)}</td>
<td class="wide">${shown(describeDrift(row))}${events !== null && html`<br><span class="soft">${shown(events)}</span>`}</td>
<td class="number" data-label="Events">${count.toLocaleString('en')}</td>
<td data-label="Last seen">${ago(lastSeenAt)}</td>
<td><a href="${eventPath(sample)}">The last one</a></td>
<td>${acknowledgedBy !== null ? html`${shown(acknowledgedBy, 80)} ${acknowledgedAt && html`<span class="soft">${ago(acknowledgedAt)}</span>`}` : mayAct ? ackForm([row], 'I know it') : 'nobody yet'}</td>
</tr>`
}

function ackForm(rows: readonly DriftRow[], words: string): Html {
  return html`<form method="post" action="/drift/ack"><input type="hidden" name="ids" value="${rows.map(({ id }) => id).join(',')}"><button type="submit">${words}</button></form>`
}
