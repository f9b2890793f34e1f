import type { AwaitedRefusal, State } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { environmentBadge } from './badge.ts'
import { journeyPath, runbookLink } from './links.ts'
import { shown } from './text.ts'
import { ago, clock, until } from './time.ts'

const DOTS = { ok: '', warn: 'wait', fail: 'bad' } as const
const NOTES = { warn: '', fail: 'bad' } as const

/** The sentence of the state, in the largest type, and the last event of each environment. */
export function saying({ level, sentence, at, figures }: State): Html {
  const { recorded, stores } = figures
  const isOld = recorded !== null && stores.postgres !== 'up'
  const last = Object.entries(recorded?.flow.lastEvents ?? {}).map(
    ([environment, time]) =>
      html`${environmentBadge(environment)} ${time ? html`last event ${ago(time, at.getTime())}` : 'no event yet'}`,
  )
  return html`<div class="say"><span class="dot ${DOTS[level]}"></span><h1>${sentence}</h1></div>
<p class="row soft">${last.map((each) => html`<span>${each}</span>`)}<span>as of ${clock(at)}${isOld && html`; figures of Postgres are from ${ago(recorded.asOf, at.getTime())}`}</span></p>`
}

/** What to do next about each cause. The first one is in the sentence already. */
export function causeNotes({ causes, sentence }: State): Html[] {
  return causes.map(
    ({ level, text, next }) =>
      html`<div class="note ${NOTES[level]}">${!sentence.includes(text) && html`<strong>${text}</strong> `}${next.text} ${next.link ? html`<a href="${next.link}">${LINKS[next.link] ?? next.link}</a>` : next.command && html`<code>${next.command}</code>`} <small>${runbookLink(next.runbook)}</small></div>`,
  )
}

const LINKS: Readonly<Record<string, string>> = {
  '/dead-letters': 'dead letters',
  '/now': 'refused events',
  '/events?view=waiting': 'events that wait',
}

/** The refused events that have not come again, with what IDWise does next. */
export function refusalTable(refusals: readonly AwaitedRefusal[], now: Date): Html | null {
  if (refusals.length === 0) return null
  const rows = refusals.map(
    ({
      environment,
      event,
      eventId,
      journeyId,
      lastRefusedAt,
      deliveries,
      nextTryAt,
      givesUpAt,
      isLost,
    }) => html`<tr>
<td data-label="Refused">${ago(lastRefusedAt, now.getTime())}</td>
<td>${environmentBadge(environment)}</td>
<td class="wide" hx-ignore>${shown(event ?? 'no event name')} <span class="mono">${shown(eventId ?? '')}</span>${journeyId !== null && html` <a class="mono" href="${journeyPath({ environment, journeyId })}">${shown(journeyId)}</a>`}</td>
<td class="number" data-label="Tries seen">${deliveries}</td>
<td data-label="Next try">${nextTryAt ? until(nextTryAt, now.getTime()) : 'none'}</td>
<td data-label="Gives up">${isLost ? html`<span class="bad">gave up</span> ${ago(givesUpAt, now.getTime())}` : until(givesUpAt, now.getTime())}</td>
</tr>`,
  )
  return html`<h2 id="refusals">Refused events that have not come again</h2>
<div class="card"><table class="stacked"><thead><tr><th>Refused</th><th>From</th><th>Event</th><th class="number">Tries seen</th><th>Next try</th><th>Gives up</th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}
