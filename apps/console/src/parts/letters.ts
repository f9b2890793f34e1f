import type { JourneyPage } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { isErrorPast } from './letter-state.ts'
import { letterPath } from './links.ts'
import { shown } from './text.ts'
import { ago } from './time.ts'

/** The dead letters of an event or a journey; null if there are none. */
export function lettersList(letters: JourneyPage['letters']): Html | null {
  if (letters.length === 0) return null
  return html`<h2 id="letters">Dead letters</h2><ul class="list">${letters.map(
    ({ id, state, reason, errorMessage, lastFailedAt }) =>
      html`<li><a href="${letterPath(id)}">Dead letter ${id}</a> failed ${ago(lastFailedAt)}, <span class="${state === 'open' ? 'bad' : 'soft'}">${state}</span>
<span class="soft">${!isErrorPast(state) && html`${shown(reason)}: ${shown(errorMessage, 160)}`}</span></li>`,
  )}</ul>`
}
