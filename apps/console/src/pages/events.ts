import { EVENT_KINDS } from '@sluice/shared/idwise'
import {
  EVENT_VIEWS,
  type EventsPage,
  type EventsQuery,
  type EventView,
  LANDED_FILTERS,
  takesLandedFilters,
  writeEventsQuery,
} from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { decision, environmentBadge } from '../parts/badge.ts'
import { eventRow, journeyLinks } from '../parts/hits.ts'
import { newerHere } from '../parts/newer.ts'
import { counted, noMatch, nothingYet, pager, query } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago, span } from '../parts/time.ts'

const VIEWS: Readonly<Record<EventView, string>> = {
  all: 'All',
  waiting: 'Waiting',
  failed: 'Failed',
  duplicates: 'Duplicates',
  unrecognised: 'Unrecognised',
  conflicts: 'Conflicts',
  replayed: 'Replayed',
}

export type EventsShown = {
  readonly list: EventsPage
  readonly environments: readonly string[]
  /** The place from which newer ones are counted; null if they are not. */
  readonly top: string | null
  readonly isLive: boolean
  /** What an empty list says about sending an event. */
  readonly tryLine: Html
}

/** The list, with room beside it for the event that is chosen. */
export function eventsPage(
  asked: EventsQuery,
  { list, environments, top, isLive, tryLine }: EventsShown,
): Html {
  const view = asked.view ?? 'all'
  const live = isLive ? undefined : 'off'
  const path = (changed: Record<string, string | undefined>) =>
    `/events${query({ ...writeEventsQuery(asked), before: undefined, live, ...changed })}`
  return html`<h1>${view === 'all' ? 'Events' : `Events: ${VIEWS[view].toLowerCase()}`}</h1>
<div class="tabs">${EVENT_VIEWS.map((each) => {
    const left = takesLandedFilters(each) ? [] : LANDED_FILTERS.map((name) => [name, undefined])
    const href = path({ ...Object.fromEntries(left), view: each === 'all' ? undefined : each })
    return each === view
      ? html`<a href="${href}" aria-current="page">${VIEWS[each]}</a>`
      : html`<a href="${href}">${VIEWS[each]}</a>`
  })}${top !== null && liveSwitch(isLive, path({ live: isLive ? 'off' : undefined }))}</div>
${filters(asked, environments, live)}
${top !== null && isLive && newerHere(`/live/events${query({ ...writeEventsQuery(asked), top })}`)}
<div class="split"><div>
${rows(asked, list, tryLine)}
${list.looked && html`<p class="soft">${list.looked}${list.next && ' Go on with Older.'}</p>`}
${pager({ newest: asked.before === undefined ? undefined : path({}), older: list.next === null ? undefined : path({ before: list.next }) })}
</div><aside id="detail" aria-label="The chosen event"></aside></div>`
}

/** Whether newer events are told while the page is open. */
function liveSwitch(isLive: boolean, href: string): Html {
  return isLive
    ? html`<span class="soft"><span class="dot"></span> Live <a class="button" href="${href}">Pause</a></span>`
    : html`<span class="soft"><span class="dot none"></span> Paused <a class="button" href="${href}">Go live</a></span>`
}

function rows(asked: EventsQuery, { items, next }: EventsPage, tryLine: Html): Html {
  if (items.length === 0) return empty(asked, next !== null, tryLine)
  return html`<div class="card"><table class="stacked"><thead><tr><th>Received</th><th>State</th><th>Event</th><th>Decision</th><th class="minor">Journey</th><th class="minor">Reference</th><th class="minor">Took</th></tr></thead>
<tbody>${items.map((item) => (item.what === 'journey' || item.what === 'gone' ? null : tableRow(eventRow(item))))}</tbody></table></div>`
}

function tableRow(row: ReturnType<typeof eventRow>): Html {
  const [journey, reference] = journeyLinks(row)
  const name = shown(row.name ?? '(no event name)', 80)
  const isEvent = row.href?.startsWith('/events/')
  const link =
    row.href === null
      ? name
      : isEvent
        ? html`<a href="${row.href}" hx-get="${row.href}" hx-target="#detail" hx-swap="innerHTML" hx-push-url="true">${name}</a>`
        : html`<a href="${row.href}">${name}</a>`
  return html`<tr><td class="nowrap">${row.at && ago(row.at)}</td><td class="nowrap">${row.status}</td>
<td class="cut">${environmentBadge(row.environment)} ${link}${row.note && html`<br><span class="soft">${shown(row.note, 120)}</span>`}</td><td class="cut">${decision(row.decision)}</td>
<td class="cut minor" data-label="journey">${journey}</td><td class="cut minor" data-label="reference">${reference}</td><td class="nowrap minor" data-label="took">${row.tookMs === null ? row.attempts && counted(row.attempts, 'try', 'tries') : span(row.tookMs)}</td></tr>`
}

/** Nothing at all yet, or nothing that matches, or nothing among those that were looked through. */
function empty(asked: EventsQuery, hasMore: boolean, tryLine: Html): Html {
  const { view: _view, limit: _limit, ...given } = asked
  const isFiltered = Object.values(given).some((value) => value !== undefined)
  if (hasMore)
    return noMatch('None among those that were looked through. Older ones follow below.', '/events')
  if (isFiltered) return noMatch('No event has all of this.', `/events${query({ view: asked.view })}`)
  if (asked.view === undefined || asked.view === 'all') {
    return nothingYet(
      'No event has landed yet',
      html`Send one: <code>npx sluice simulate --journeys 1</code>, or give IDWise the address of the ingest, <code>/webhooks/idwise/live</code> (docs/going-live.md).`,
      tryLine,
    )
  }
  return nothingYet(EMPTY[asked.view], 'That is good news.')
}

const EMPTY: Readonly<Record<EventView, string>> = {
  all: 'No event has landed yet',
  waiting: 'No event waits',
  failed: 'No event has failed',
  duplicates: 'No event came twice',
  unrecognised: 'Every event is of a known kind',
  conflicts: 'No two bodies came under one id',
  replayed: 'Nothing has been replayed',
}

const FAILED_FROM = 'Failed last from (UTC)'
/** Of which time the bounds are. */
const FROM: Readonly<Record<EventView, string>> = {
  all: 'Landed or failed from (UTC)',
  waiting: 'Received from (UTC)',
  failed: FAILED_FROM,
  duplicates: 'Landed from (UTC)',
  unrecognised: 'Landed from (UTC)',
  conflicts: FAILED_FROM,
  replayed: FAILED_FROM,
}

const MORE = ['kind', 'via', 'from', 'to', 'body'] as const

function filters(asked: EventsQuery, environments: readonly string[], live: string | undefined): Html {
  const value = writeEventsQuery(asked)
  const isOpen = MORE.some((name) => value[name] !== undefined)
  const field = (name: string, label: string, type = 'text') =>
    html`<label>${label} <input type="${type}" name="${name}" value="${value[name] ?? ''}" maxlength="${name === 'body' ? 5000 : 500}" autocomplete="off" spellcheck="false"></label>`
  const moment = (name: 'from' | 'to', label: string) =>
    html`<label>${label} <input type="datetime-local" name="${name}" value="${asked[name]?.toISOString().slice(0, 16) ?? ''}"></label>`
  const choice = (name: string, label: string, options: readonly string[]) =>
    html`<label>${label} <select name="${name}"><option value="">any</option>${options.map((each) =>
      value[name] === each
        ? html`<option selected value="${each}">${each.replaceAll('_', ' ')}</option>`
        : html`<option value="${each}">${each.replaceAll('_', ' ')}</option>`,
    )}</select></label>`
  const more = html`<summary>More filters</summary><div class="filters">${choice('kind', 'Kind', EVENT_KINDS)}
${takesLandedFilters(asked.view) && choice('via', 'Came by', ['redis', 'inbox', 'replay'])}${moment('from', FROM[asked.view ?? 'all'])}${moment('to', 'to')}
${field('body', 'Body has (JSON)')}</div>`
  return html`<form action="/events" class="filters">
${asked.view && html`<input type="hidden" name="view" value="${asked.view}">`}${live && html`<input type="hidden" name="live" value="${live}">`}
${choice('environment', 'Environment', environments)}${field('decision', 'Decision')}${field('journey', 'Journey')}${field('reference', 'Reference')}
<button type="submit">Filter</button> <a href="/events">Clear</a>
${isOpen ? html`<details open>${more}</details>` : html`<details>${more}</details>`}
</form>`
}
