import { type Html, html } from '../html.ts'
import { runbookPath } from '../runbooks.ts'

/**
 * The Markdown of our own documentation: paragraphs, lists, tables, code, links and bold text.
 *
 * @param page the page that it stands on, for links within it
 */
export function markdown(text: string, page: string): Html {
  const blocks = text.split(/\n{2,}(?=\S)/).map((block) => block.trim())
  return html`${joinFences(blocks).map((block) => block !== '' && blockOf(block, page))}`
}

/** Code may have empty lines. */
function joinFences(blocks: readonly string[]): string[] {
  const joined: string[] = []
  for (const block of blocks) {
    const last = joined.at(-1)
    const isOpen = last !== undefined && (last.match(/^```/gm)?.length ?? 0) % 2 === 1
    if (isOpen) joined[joined.length - 1] = `${last}\n\n${block}`
    else joined.push(block)
  }
  return joined
}

function blockOf(block: string, page: string): Html {
  const [first = '', ...rest] = block.split('\n')
  if (first.startsWith('```')) return html`<pre tabindex="0">${rest.join('\n').replace(/\n?```$/, '')}</pre>`
  if (first.startsWith('#')) return html`<h2>${inline(first.replace(/^#+ /, ''), page)}</h2>`
  if (first.startsWith('|')) return tableOf([first, ...rest], page)
  if (/^(?:[-*]|\d+\.) /.test(first)) {
    const items = block.split(/\n(?=(?:[-*]|\d+\.) )/).map((item) => item.replace(/^(?:[-*]|\d+\.) /, ''))
    const list = items.map((item) => html`<li>${inline(item, page)}</li>`)
    return /^\d/.test(first) ? html`<ol>${list}</ol>` : html`<ul>${list}</ul>`
  }
  return html`<p>${inline(block, page)}</p>`
}

function tableOf(lines: readonly string[], page: string): Html {
  const cells = (line: string) => line.replace(/^\||\|\s*$/g, '').split(/(?<!\\)\|/)
  const [head = '', , ...rows] = lines
  return html`<div class="card" tabindex="0"><table class="stacked"><thead><tr>${cells(head).map((cell) => html`<th>${inline(cell.trim(), page)}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${cells(row).map((cell) => html`<td class="wide">${inline(cell.trim(), page)}</td>`)}</tr>`)}</tbody></table></div>`
}

const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^)]+)\)/g

function inline(text: string, page: string): (Html | string)[] {
  const parts: (Html | string)[] = []
  let last = 0
  for (const match of text.matchAll(INLINE)) {
    const [all, code, bold, label, target = ''] = match
    parts.push(text.slice(last, match.index))
    last = match.index + all.length
    if (code !== undefined) parts.push(html`<code>${code}</code>`)
    else if (bold !== undefined) parts.push(html`<b>${bold}</b>`)
    else parts.push(linkOf(inline(label ?? '', page), target, page))
  }
  parts.push(text.slice(last))
  return parts
}

/** No page of the console leads elsewhere, so another address is shown as text. */
function linkOf(label: (Html | string)[], target: string, page: string): Html {
  const path = runbookPath(target.startsWith('#') ? `${page}.md${target}` : target)
  return path ? html`<a href="${path}">${label}</a>` : html`${label} (<code>${target}</code>)`
}
