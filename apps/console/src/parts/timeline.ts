import { type Html, html, type Part } from '../html.ts'

/** One point of a timeline. */
export type Point = {
  /** Between the point before and this one. */
  readonly gap: Part
  readonly heading: Part
  readonly text: Part
  /** `lost`: it changed nothing; `missing`: it has not come yet. */
  readonly look?: 'lost' | 'missing' | 'failed' | undefined
}

export function timeline(points: readonly Point[]): Html {
  return html`<ol class="timeline">${points.map(
    ({ gap, heading, text, look }) =>
      html`<li class="${look ?? 'done'}">${gap && html`<span class="gap">${gap}</span>`}${heading}${text && html`<div>${text}</div>`}</li>`,
  )}</ol>`
}
