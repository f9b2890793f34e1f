import type { Backlog } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'

/** The page; its region is replaced while it is open. */
export function overviewPage(region: Html): Html {
  return html`<div hx-sse:connect="/live/overview" hx-swap="innerMorph">${region}</div>`
}

export function overviewRegion({ inbox, queue }: Backlog): Html {
  return html`<h1>${inbox + (queue ?? 0)} events wait.</h1>`
}
