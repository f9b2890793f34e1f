import type { FoundName, SearchAnswer } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { hitLine, statusBadge } from '../parts/hits.ts'
import { journeyPath, pathOf } from '../parts/links.ts'
import { counted } from '../parts/states.ts'
import { shown } from '../parts/text.ts'

/** @param text what was asked, which the form shows again */
export function searchPage(text: string, answer: SearchAnswer): Html {
  return html`${answered(answer)}
<h2>Search</h2>
<form method="post" action="/search" class="stack">
<label for="paste">An id, a reference number or its beginning, or any text with some: a ticket, a log, an e-mail of IDWise</label>
<textarea id="paste" name="q" rows="6" maxlength="10000" spellcheck="false" autocomplete="off">
${text}</textarea>
<button type="submit" class="primary">Search</button>
</form>`
}

function answered(answer: SearchAnswer): Html {
  switch (answer.kind) {
    case 'nothing_asked':
      return html`<h1>Find anything by its name.</h1>
<p class="soft">Event ids, event keys, the ids in our answers, job ids, journey ids, reference numbers.</p>`
    case 'too_long':
      return html`<h1>The text is too long.</h1><p>It may have ${answer.limit.toLocaleString('en')} characters. Search for a part of it, or use <code>npx sluice search -</code>.</p>`
    case 'name':
      return oneName(answer)
    case 'text':
      return manyNames(answer)
    default:
      return answer satisfies never
  }
}

function oneName(answer: Extract<SearchAnswer, { kind: 'name' }>): Html {
  const { name, hits, starts, tried, nearest } = answer
  const called = html`<code>${shown(name, 100)}</code>`
  if (hits.length > 0) {
    return html`<h1>${counted(hits.length, 'thing')} called ${called}.</h1>${list(hits)}`
  }
  if (starts.length > 0) {
    return html`<h1>Nothing is called ${called}.</h1><p>${counted(starts.length, 'begins', 'begin')} with it${starts.length >= 20 && html`; there may be more`}:</p>${list(starts)}`
  }
  return html`<h1>Nothing here is called ${called}.</h1>
<p>Looked for it in:</p><ul>${tried.map((each) => html`<li>${each}</li>`)}</ul>
${
  nearest.length > 0 &&
  html`<h2>What is nearest</h2><ul>${nearest.map(
    (near) => html`<li><a href="${journeyPath(near)}">${shown(near.name, 100)}</a></li>`,
  )}</ul>`
}`
}

const list = (hits: FoundName['hits']) =>
  html`<div class="card pane"><ul class="list">${hits.map((hit) => html`<li>${hitLine(hit)}</li>`)}</ul></div>`

function manyNames({ names, isCut, tried }: Extract<SearchAnswer, { kind: 'text' }>): Html {
  if (names.length === 0) {
    return html`<h1>The text has no id and no reference number that is known here.</h1>`
  }
  const missing = names.filter(({ status }) => status === 'not_here').length
  return html`<h1>${missing === 0 ? `All ${counted(names.length, 'name')} of the text are here.` : `${missing} of ${counted(names.length, 'name')} in the text ${missing === 1 ? 'is' : 'are'} not here.`}</h1>
<div class="card"><table class="stacked"><thead><tr><th>Name</th><th>As</th><th>State</th><th>What</th></tr></thead>
<tbody>${names.map(row)}</tbody></table></div>
${isCut && html`<p class="note">The text has more names; the first 200 were looked for.</p>`}
${tried.length > 0 && html`<p class="soft">What is not here was also looked for in ${tried.join('; ')}.</p>`}`
}

function row({ name, form, status, hits, place }: FoundName): Html {
  const text = html`<code>${shown(name, 100)}</code>`
  const first = hits.slice(0, 3)
  return html`<tr><td class="wide">${place ? html`<a href="${pathOf(place)}">${text}</a>` : text}</td>
<td class="soft">${form === 'any' ? '' : form}</td><td>${statusBadge(status)}</td>
<td class="wide">${first.map((hit) => html`<p>${hitLine(hit)}</p>`)}${hits.length > first.length && html`<p class="soft">and ${hits.length - first.length} more</p>`}</td></tr>`
}
