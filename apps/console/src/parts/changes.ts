import type { PreviousEvent } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { shown } from './text.ts'

/** How two bodies differ, path by path. */
export function changesTable(
  { changes, isCut }: Pick<PreviousEvent, 'changes' | 'isCut'>,
  [before, now]: readonly [before: string, now: string],
): Html {
  if (changes === null) return html`<p>One of both is no JSON, so they are not compared.</p>`
  if (changes.length === 0)
    return html`<p>Both bodies say the same. They differ in blanks, or in the order of fields.</p>`
  return html`<div class="card" hx-ignore tabindex="0"><table class="stacked"><thead><tr><th>Where</th><th>${before}</th><th>${now}</th></tr></thead>
<tbody>${changes.map(
    ({ path, before: old, after }) =>
      html`<tr><td><code>${shown(path || '(all)', 200)}</code></td><td class="wide">${old === null ? html`<span class="soft">–</span>` : html`<del><code>${shown(old)}</code></del>`}</td><td class="wide">${after === null ? html`<span class="soft">–</span>` : html`<ins><code>${shown(after)}</code></ins>`}</td></tr>`,
  )}</tbody></table></div>${isCut && html`<p class="soft">There are more differences.</p>`}`
}
