import { type Html, html, type Part } from '../html.ts'

/** Instead of a list that has nothing yet. */
export function nothingYet(heading: string, text: Part, more?: Html): Html {
  return html`<div class="card empty"><h2>${heading}</h2><p>${text}</p>${more}</div>`
}

/** Instead of a list that has nothing that matches. */
export function noMatch(text: Part, clearPath: string): Html {
  return html`<div class="card empty"><h2>No match</h2><p>${text}</p><p><a class="button" href="${clearPath}">Clear filters</a></p></div>`
}

/** The links below a list: to the newest page, and to the older one. */
export function pager({
  newest,
  older,
}: {
  newest?: string | undefined
  older?: string | undefined
}): Html | null {
  if (!newest && !older) return null
  return html`<div class="pages">${newest ? html`<a class="button" href="${newest}">Newest</a>` : html`<span></span>`}${older && html`<a class="button" href="${older}" rel="next">Older</a>`}</div>`
}

/** The query of a page's own link: without empty values. */
export function query(values: Readonly<Record<string, string | number | undefined | null>>): string {
  const given = Object.entries(values).filter(
    ([, value]) => value !== undefined && value !== null && value !== '',
  )
  const text = new URLSearchParams(
    Object.fromEntries(given.map(([name, value]) => [name, String(value)])),
  ).toString()
  return text === '' ? '' : `?${text}`
}

/** A count with its noun, such as `1 event` or `1,204 events`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`
}
