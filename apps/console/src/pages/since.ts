import type { SinceNews } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { environmentBadge } from '../parts/badge.ts'
import { listPath } from '../parts/letter-paths.ts'
import { reasonOf } from '../parts/reason.ts'
import { counted } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago, span } from '../parts/time.ts'
import { actionList } from './audit.ts'

/** How many are listed; the data has one more if there are others. */
const SHOWN = 5

/** One line above the state; null if there is no news. */
export function sinceLine(news: SinceNews, since: Date): Html | null {
  const parts = summary(news)
  if (parts.length === 0) return null
  return html`<form class="note none row" method="post" action="/seen"><span>Since you were away (${ago(since)}): <a href="#since">${parts.join(', ')}</a></span> <button type="submit" class="plain">Mark as read</button></form>`
}

function summary({ groups, moreGroups, acts, healed, cameAgain }: SinceNews): string[] {
  const many = (list: readonly unknown[], one: string, several: string) =>
    list.length === 0
      ? []
      : list.length > SHOWN
        ? [`more than ${SHOWN} ${several}`]
        : [counted(list.length, one, several)]
  return [
    ...(groups.length > 0
      ? [counted(groups.length + moreGroups, 'new group of dead letters', 'new groups of dead letters')]
      : []),
    ...many(acts, 'act of others', 'acts of others'),
    ...many(healed, 'incident that is over', 'incidents that are over'),
    ...(cameAgain.count > 0
      ? [`${cameAgain.isMore ? 'more than ' : ''}${counted(cameAgain.count, 'refused event')} came again`]
      : []),
  ]
}

/** All of it, below the state; null if there is no news. */
export function sinceSection(news: SinceNews): Html | null {
  if (summary(news).length === 0) return null
  const { groups, moreGroups, acts, healed } = news
  return html`<h2 id="since">Since you were away</h2>
${
  groups.length > 0 &&
  html`<div class="card"><table class="stacked"><thead><tr><th>Newest</th><th>New group of dead letters</th><th class="number">Letters</th></tr></thead>
<tbody>${groups.slice(0, SHOWN).map(
    ({
      fingerprint,
      newestAt,
      reason,
      event,
      environment,
      errorMessage,
      letters,
    }) => html`<tr><td class="soft">${ago(newestAt)}</td>
<td class="wide" hx-ignore>${reasonOf(reason)} · ${shown(event ?? 'no event name', 80)} ${environmentBadge(environment)}<br><a href="${listPath('open', { fingerprint })}">${shown(errorMessage, 160)}</a></td>
<td class="number" data-label="letters">${letters.count.toLocaleString('en')}${letters.isMore && ' or more'}</td></tr>`,
  )}</tbody></table></div>${groups.length > SHOWN && html`<p><a href="/dead-letters">${groups.length - SHOWN + moreGroups} more groups</a></p>`}`
}
${acts.length > 0 && html`${actionList(acts.slice(0, SHOWN))}${acts.length > SHOWN && html`<p><a href="/audit">All acts</a></p>`}`}
${
  healed.length > 0 &&
  html`<div class="card"><table class="stacked"><thead><tr><th>Over</th><th>What healed</th><th>Lasted</th></tr></thead>
<tbody>${healed.slice(0, SHOWN).map(
    ({ name, text, openedAt, resolvedAt }) => html`<tr><td class="soft">${resolvedAt && ago(resolvedAt)}</td>
<td class="wide" hx-ignore>${name} · ${shown(text.split('\n', 1)[0] ?? '')}</td><td data-label="lasted">${resolvedAt && span(resolvedAt.getTime() - openedAt.getTime())}</td></tr>`,
  )}</tbody></table></div>`
}`
}
