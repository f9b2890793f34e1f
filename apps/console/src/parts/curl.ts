import { type Html, html } from '../html.ts'
import { shownLines } from './text.ts'

const SHOWN = 60_000

/** The line that sends the bytes of an event again. */
export function curlDetails(line: string): Html {
  return html`<details><summary>Send the same bytes again with curl</summary>
<p class="soft">Fill in the address and the credential.</p><div class="row"><button type="button" hidden data-copy="#curl">Copy</button></div>
<div class="card" hx-ignore><pre id="curl" tabindex="0">${shownLines(line, SHOWN).text}</pre></div></details>`
}
