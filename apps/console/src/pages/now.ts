import { figureTexts } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import type { Now } from '../now.ts'
import { causeNotes, refusalTable, saying } from '../parts/saying.ts'

/** The whole state in words: small enough for a phone with a bad connection. */
export function nowPage(region: Html): Html {
  return html`<div hx-sse:connect="/live/now" hx-swap="innerMorph">${region}</div>
<p class="soft pages"><span>The same as text for <code>curl</code>, and as JSON: <a href="/now?format=json">/now?format=json</a></span></p>`
}

export function nowRegion({ state, refusals }: Now): Html {
  return html`${saying(state)}
${causeNotes(state)}
<dl class="card pane">${figureTexts(state).map(([name, text]) => html`<dt>${name}</dt><dd>${text}</dd>`)}</dl>
${refusalTable(refusals, state.at)}`
}
