import { type Html, html } from '../html.ts'
import { shown } from './text.ts'

/** Shows live and sandbox in different colours, and names any other environment. */
export function environmentBadge(environment: string | null): Html {
  const name = environment ?? 'unknown'
  const shown = name.charAt(0).toUpperCase() + name.slice(1)
  return html`<span class="badge ${name === 'live' ? 'live' : 'sandbox'}">${shown}</span>`
}

const DECISIONS: Readonly<Record<string, 'good' | 'wait' | 'bad'>> = {
  approved: 'good',
  complete: 'good',
  rejected: 'bad',
  refer: 'wait',
  incomplete: 'wait',
}

/** A decision in its colour, as it was received. */
export function decision(text: string | null): Html | null {
  if (text === null) return null
  const colour = Object.hasOwn(DECISIONS, text.toLowerCase()) ? DECISIONS[text.toLowerCase()] : ''
  return html`<span class="${colour}">${shown(text, 60)}</span>`
}
