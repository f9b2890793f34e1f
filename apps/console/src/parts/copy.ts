import { type Html, html } from '../html.ts'

/** A button that copies the id of what a page is about, as the key `c` does. It shows only with a script. */
export function copyId(id: string): Html {
  return html`<button type="button" class="plain" hidden data-copy-text="${encodeURIComponent(id.toWellFormed())}" data-key="c">Copy</button>`
}
