import type { DeadLetterGroup, DeadLetterGroups, Operation, SingleAct } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { bars } from '../parts/bars.ts'
import { actPath, listPath } from '../parts/letter-paths.ts'
import { letterPath } from '../parts/links.ts'
import { newerHere } from '../parts/newer.ts'
import { reasonOf } from '../parts/reason.ts'
import { counted, nothingYet, query } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago } from '../parts/time.ts'
import { letterTabs } from './dead-letters.ts'

/**
 * @param shown.mayAct the person is an operator
 * @param shown.top the newest letter of all
 */
export function deadLetterGroupsPage(
  { groups, total, letters, isAtLeast }: DeadLetterGroups,
  { mayAct, top }: { mayAct: boolean; top: number },
): Html {
  const news = newerHere(`/live/dead-letters${query({ view: 'groups', top, open: letters })}`)
  if (groups.length === 0) {
    return html`<h1>No dead letters are open.</h1>
${letterTabs('groups')}
${news}
${nothingYet('Nothing to fix', html`An event that cannot be landed appears here, with what it failed with. Those that have ended are in the <a href="${listPath('all', {})}">list</a>.`)}`
  }
  const headline = `${isAtLeast ? 'At least ' : ''}${letters.toLocaleString('en')} open in ${counted(total, 'group')}`
  return html`<h1>${headline}</h1>
<p class="soft">A group is what failed alike. Discarded letters can be opened again until retention deletes them.</p>
${letterTabs('groups')}
${news}
<div class="split">
<div class="card"><table class="stacked">
<thead><tr><th>What failed</th><th class="number">Letters</th><th class="number">Journeys</th><th>Last 24 hours</th><th>Failed</th></tr></thead>
<tbody>${groups.map((group) => row(group, mayAct))}</tbody>
</table></div>
<aside id="beside"></aside>
</div>
${groups.length < total && html`<p class="soft">The ${groups.length} largest groups are shown.</p>`}`
}

const LONG_MS = 120_000

function row(group: DeadLetterGroup, mayAct: boolean): Html {
  const { fingerprint, count, journeys, firstFailedAt, lastFailedAt, example } = group
  const { event, errorClass, errorMessage, reason } = example
  const filter = { fingerprint }
  const isLong = lastFailedAt.getTime() - firstFailedAt.getTime() > LONG_MS
  return html`<tr>
<td class="wide">${reasonOf(reason)} <span class="soft">· ${shown(event ?? 'no event name', 80)}</span><br>
<a href="${listPath('open', filter)}">${shown(errorMessage)}</a> <code>${shown(errorClass)}</code>
${history(group).map((each) => html`<br><span class="soft">${each}</span>`)}
${group.runbook && html`<br><span class="soft">${group.runbook}</span>`}
${mayAct && html`<span class="row acts">${dialogLink('replay', 'Replay…', filter)} ${dialogLink('discard', 'Discard…', filter)}</span>`}</td>
<td class="number" data-label="letters"><a href="${listPath('open', filter)}">${count.toLocaleString('en')}</a></td>
<td class="number" data-label="journeys">${journeys.toLocaleString('en')}</td>
<td>${hours(group)}</td>
<td class="soft">${ago(lastFailedAt)}${isLong && html`<br>first ${ago(firstFailedAt)}`}</td>
</tr>`
}

function dialogLink(kind: string, text: string, filter: { fingerprint: string }): Html {
  const path = actPath(kind, filter)
  return html`<a class="button" href="${path}" hx-get="${path}" hx-target="#beside" hx-swap="innerHTML show:top" data-key="${kind === 'replay' && 'r'}">${text}</a>`
}

function hours({ hours: counts }: DeadLetterGroup): Html {
  const drawn = counts.map((value, index) => ({
    value,
    title: `${value}, ${counts.length - 1 - index} h ago`,
  }))
  const sum = counts.reduce((total, count) => total + count, 0)
  return bars(drawn, { label: `${sum} in the last 24 hours, hour by hour`, small: true })
}

const DONE = { replay: 'replayed', discard: 'discarded', undo: 'opened again' } as const

/** What was done to letters that failed alike, the newest first. */
function history({ past: operations, acts }: DeadLetterGroup): Html[] {
  const all = [
    ...operations.map((each) => ({ at: each.createdAt, line: past(each) })),
    ...acts.map((each) => ({ at: each.at, line: single(each) })),
  ]
  return all
    .sort((a, b) => b.at.getTime() - a.at.getTime())
    .slice(0, PAST_SHOWN)
    .map(({ line }) => line)
}

const PAST_SHOWN = 3

/** For example: on 3 Nov 2026 Ada discarded letter 41: “a test of the sender” */
function single({ letter, at, actor, action, reason }: SingleAct): Html {
  return html`On ${dayOf(at)} ${shown(actor, 80)} ${DONE[action]} <a href="${letterPath(letter)}">letter ${letter}</a>${reason !== null && html`: “${shown(reason)}”`}`
}

function dayOf(at: Date): string {
  return at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' })
}

/** For example: seen on 3 Nov 2026, replayed by Ada: “raised the column limit”, 412 landed */
function past({ id, kind, actor, reason, createdAt, endedAt, landed, taken }: Operation): Html {
  const on = dayOf(createdAt)
  const result = kind === 'replay' ? `${landed.toLocaleString('en')} landed` : taken.toLocaleString('en')
  if (endedAt === null)
    return html`<a href="/operations/${id}">Operation ${id}</a> of ${shown(actor, 80)} is under way: “${shown(reason)}”`
  return html`<a href="/operations/${id}">Seen on ${on}</a>, ${DONE[kind]} by ${shown(actor, 80)}: “${shown(reason)}”, ${result}`
}
