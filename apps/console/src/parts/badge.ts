import type { Source } from '@sluice/shared/runtime'
import { type Html, html } from '../html.ts'
import { shown } from './text.ts'

/** Names a source, in the colour of its kind. */
export function environmentBadge(environment: string | null): Html {
  const name = environment ?? 'unknown'
  const shown = name.charAt(0).toUpperCase() + name.slice(1)
  return html`<span class="badge ${name === 'live' ? 'live' : `sandbox ${classOf(name)}`}">${shown}</span>`
}

/** Of a name that a source may have: others are in the database only if somebody has written there by hand. */
const classOf = (name: string) => (/^[a-z0-9-]{1,32}$/.test(name) ? `of-${name}` : '')

/** The style rules for the badges of sources that are live under another name. */
export function badgeColours(sources: readonly Source[]): string {
  const live = sources.filter(({ name, kind }) => kind === 'live' && name !== 'live')
  return live.map(({ name }) => `.badge.${classOf(name)} { color: var(--bad); }\n`).join('')
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
