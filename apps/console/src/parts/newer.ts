import { NEWER_COUNTED } from '@sluice/shared/operations'
import { type Html, html, type Part } from '../html.ts'

/** Where a page says that there is something newer: what it shows does not move by itself. @param path of its stream */
export function newerHere(path: string): Html {
  return html`<div aria-live="polite" hx-sse:connect="${path}" hx-swap="innerMorph"></div>`
}

/** What is newer than the page shows; it shows when the person asks for it. @param href of the page */
export function newer(count: number, href: string): Html {
  if (count === 0) return html`<span></span>`
  return changed(`${count >= NEWER_COUNTED ? `${NEWER_COUNTED} or more` : String(count)} newer`, href)
}

export function changed(what: Part, href: string): Html {
  return html`<p><a class="button" href="${href}">${what}: show</a></p>`
}
