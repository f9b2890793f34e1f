import type { EventPage, Moment, PreviousEvent } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { decision, environmentBadge } from '../parts/badge.ts'
import { changesTable } from '../parts/changes.ts'
import { copyId } from '../parts/copy.ts'
import { curlDetails } from '../parts/curl.ts'
import { journeyLinks } from '../parts/hits.ts'
import { actPath } from '../parts/letter-paths.ts'
import { lettersList } from '../parts/letters.ts'
import { eventPath, letterPath } from '../parts/links.ts'
import { counted } from '../parts/states.ts'
import { shown, shownLines } from '../parts/text.ts'
import { ago, moment, span } from '../parts/time.ts'
import { type Point, timeline } from '../parts/timeline.ts'

/** A page shows no more characters of a body than this; the file has all of it. */
const BODY_SHOWN = 60_000

/**
 * One event, as a page of its own or beside the list.
 *
 * @param given.mayAct the person is an operator
 */
export function eventPage(shownEvent: EventPage, { mayAct }: { mayAct: boolean }): Html {
  const { eventKey, event, waiting, refusal, letters } = shownEvent
  const open = letters.find(({ state }) => state === 'open')
  const known = event ?? waiting ?? refusal ?? letters[0] ?? null
  const [journey, reference] = known ? journeyLinks(known) : [null, null]
  return html`<article>
<p class="soft">Event <code>${eventKey}</code> ${copyId(known?.eventId ?? eventKey)} ${known && environmentBadge(known.environment)}</p>
<h1>${sentence(shownEvent)}</h1>
<p class="soft">${journey && html`Journey ${journey}`}${journey && reference && ' · '}${reference && html`reference ${reference}`}</p>
<div class="row">${mayAct && open && html`<a class="button primary" href="${actPath('replay', { ids: [open.id] })}" data-key="r">Replay…</a>`}
<a class="button" href="${eventPath(eventKey)}">Link</a><button type="button" hidden data-copy-link="${eventPath(eventKey)}">Copy link</button>
${shownEvent.body && html`<button type="button" hidden data-copy="#curl">Copy as curl</button>`}</div>
<div class="card pane">${timeline(shownEvent.timeline.map(point))}</div>
${lettersList(letters)}
${body(shownEvent)}
${previous(shownEvent.previous)}
${shownEvent.received && columns(shownEvent.received)}
${
  shownEvent.body &&
  html`<h2>Hand it on</h2>
<div class="row"><a class="button" href="${eventPath(eventKey)}/raw">Download the bytes</a>
<a class="button" href="${eventPath(eventKey)}/receipt">Download a receipt</a></div>`
}
${shownEvent.body && curlDetails(shownEvent.body.curl)}
</article>`
}

function sentence({ event, gone, waiting, refusal, letters }: EventPage): string {
  const name = shown((event ?? waiting ?? refusal ?? letters[0])?.event ?? 'An event without a name', 80)
  if (event) {
    const took = event.processedAt.getTime() - event.receivedAt.getTime()
    const again = event.duplicates > 0 ? `, and came ${counted(event.duplicates, 'more time')} since` : ''
    return `${name} landed ${span(took)} after it was received${again}.`
  }
  if (gone)
    return `This event landed, and is no longer stored: ${gone.because === 'missing' ? 'its row was deleted by hand' : `it was ${gone.because}`}.`
  if (waiting) return `${name} waits in the ${waiting.where}.`
  const [letter] = letters
  if (letter) return `${name} has not landed: it is a dead letter (${letter.state}).`
  return `${name} was refused, and IDWise has not delivered it since.`
}

function point({ what, at, words, sinceMs, letter }: Moment): Point {
  const text = html`<b>${shown(words)}</b>`
  return {
    gap: sinceMs === null ? null : span(sinceMs),
    heading: html`${letter === null ? text : html`<a href="${letterPath(letter)}">${text}</a>`} ${at && html`<span class="soft">${moment(at)}</span>`}`,
    text: null,
    look: LOOKS[what],
  }
}

const LOOKS: Partial<Record<Moment['what'], Point['look']>> = {
  failed: 'failed',
  refused: 'failed',
  waiting: 'missing',
  duplicates: 'lost',
  gone: 'lost',
}

function body({ event, body }: EventPage): Html | null {
  if (!body) return null
  const text = body.pretty ?? body.text
  const lines = text === null ? null : shownLines(text, BODY_SHOWN)
  const notes = [
    counted(body.raw.length, 'byte'),
    ...(body.isCompressed ? ['gzip'] : []),
    ...(body.pretty === null ? ['no JSON'] : []),
    ...(event?.isBytesOnly ? ['stored as bytes alone'] : []),
  ]
  return html`<h2>Body</h2>
<div class="card" hx-ignore>${lines ? html`<pre id="body" tabindex="0">${lines.text}</pre>` : html`<p class="pane soft">These bytes are no text. The file has them.</p>`}</div>
<p class="soft">${notes.join(' · ')}${lines?.isCut && ` · the first ${BODY_SHOWN.toLocaleString('en')} characters`} · SHA-256 <code>${body.sha256}</code>
${!body.isIntact && html`<b class="bad">This is not the hash that was stored with the bytes.</b>`} <button type="button" class="plain" hidden data-copy="#body">Copy</button></p>
${body.pretty !== null && body.text !== null && html`<details><summary>As it was sent</summary><div class="card" hx-ignore><pre tabindex="0">${shownLines(body.text, BODY_SHOWN).text}</pre></div></details>`}`
}

function previous(before: PreviousEvent | null): Html | null {
  if (!before) return null
  const link = html`<a href="${eventPath(before.eventKey)}">${shown(before.event ?? '(no event name)', 80)}</a>`
  const heading = html`<h2>Since the journey's event before</h2><p class="soft">${link}, received ${ago(before.receivedAt)}</p>`
  return html`${heading}${changesTable(before, ['Before', 'Now'])}`
}

function columns(event: NonNullable<EventPage['received']>): Html {
  const plain = (value: unknown) => shown(typeof value === 'string' ? value : JSON.stringify(value), 1_000)
  const rows: readonly (readonly [string, unknown])[] = [
    ['Kind', event.kind],
    ['Event id', event.eventId],
    ['Came by', event.via],
    ['Deliveries', event.duplicates === undefined ? null : event.duplicates + 1],
    ['Delivery id', event.deliveryId],
    ['Details', event.details],
    ...Object.entries(event.request ?? {}).map(([name, value]) => [HEADERS[name] ?? name, value] as const),
  ]
  const decisions = [
    ['System decision', event.systemDecision],
    ['Manual decision', event.manualDecision],
    ['Final decision', event.finalDecision],
  ] as const
  return html`<h2>What was read, and what is kept of the request</h2><div class="card pane" hx-ignore><dl>
${decisions.map(([name, value]) => value !== null && html`<dt>${name}</dt><dd>${decision(value)}</dd>`)}
${rows.map(([name, value]) => value !== null && value !== undefined && html`<dt>${name}</dt><dd>${plain(value)}</dd>`)}</dl></div>`
}

const HEADERS: Readonly<Record<string, string>> = {
  sourceAddress: 'Address',
  contentType: 'Content-Type',
  contentEncoding: 'Content-Encoding',
  userAgent: 'User-Agent',
  traceparent: 'Trace context',
  claimedAt: "Ingest's clock said",
}
