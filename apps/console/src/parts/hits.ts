import type { SearchHit, SearchStatus } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { decision, environmentBadge } from './badge.ts'
import { eventPath, journeyPath, letterPath, searchPath } from './links.ts'
import { reasonName } from './reason.ts'
import { counted } from './states.ts'
import { shown } from './text.ts'
import { ago, span } from './time.ts'

const STATUS: Readonly<Record<SearchStatus, readonly [words: string, colour: string]>> = {
  landed: ['landed', 'good'],
  waiting: ['waiting', 'wait'],
  dead_letter: ['dead letter', 'bad'],
  refused: ['refused, not delivered yet', 'bad'],
  gone: ['landed, no longer stored', 'soft'],
  not_here: ['not here', 'wait'],
}

export function statusBadge(status: SearchStatus): Html {
  const [words, colour] = STATUS[status]
  return html`<span class="badge ${colour}">${words}</span>`
}

/** One row of a list of things that are events in different states. */
export type EventRow = {
  readonly at: Date | null
  readonly status: Html
  readonly environment: string | null
  readonly name: string | null
  /** The page of the event, or of its dead letter; null if there is none. */
  readonly href: string | null
  readonly journeyId: string | null
  readonly referenceNo: string | null
  readonly decision: string | null
  /** The tries of one that has not landed. Those of an event that has landed are not kept. */
  readonly attempts: number | null
  /** From receipt to landing. */
  readonly tookMs: number | null
  readonly note: string | null
}

const UNKNOWN = { decision: null, attempts: null, tookMs: null, note: null }

export function eventRow(hit: Exclude<SearchHit, { what: 'journey' | 'gone' }>): EventRow {
  const { environment, event: name, journeyId, referenceNo } = hit
  const href = hit.eventKey === null ? null : eventPath(hit.eventKey)
  const common = { environment, name, href, journeyId, referenceNo, ...UNKNOWN }
  switch (hit.what) {
    case 'event': {
      const notes = [
        ...(hit.duplicates > 0 ? [`${hit.duplicates + 1} deliveries`] : []),
        ...(hit.via === 'replay' ? ['replayed'] : []),
        ...(hit.kind === 'unrecognised' ? ['unrecognised'] : []),
      ]
      return {
        ...common,
        at: hit.receivedAt,
        status: statusBadge('landed'),
        decision: hit.finalDecision ?? hit.manualDecision ?? hit.systemDecision,
        tookMs: hit.processedAt.getTime() - hit.receivedAt.getTime(),
        note: notes.join(', ') || null,
      }
    }
    case 'waiting':
      return {
        ...common,
        at: hit.receivedAt,
        status: statusBadge('waiting'),
        attempts: hit.attempts,
        note: `in the ${hit.where}${hit.lastError === null ? '' : `: ${hit.lastError}`}`,
      }
    case 'dead_letter':
      return {
        ...common,
        href: letterPath(hit.id),
        at: hit.receivedAt ?? hit.firstFailedAt,
        status:
          hit.state === 'open'
            ? statusBadge('dead_letter')
            : html`<span class="badge soft">dead letter, ${hit.state}</span>`,
        attempts: hit.attempts,
        note: `${reasonName(hit.reason)}: ${hit.errorMessage}`,
      }
    case 'refused':
      return {
        ...common,
        at: hit.lastRefusedAt,
        status: statusBadge('refused'),
        note: `${hit.deliveries} deliveries`,
      }
    default:
      return hit satisfies never
  }
}

/** An event that took longer is worth a word. */
const SLOW_MS = 10_000

/** A hit of a search in one line. */
export function hitLine(hit: SearchHit): Html {
  if (hit.what === 'journey') {
    return html`<a href="${journeyPath(hit)}">Journey <code>${shown(hit.journeyId)}</code></a> ${environmentBadge(hit.environment)}
<span class="soft">${hit.stage.replaceAll('_', ' ')}${hit.referenceNo !== null && html`, reference ${shown(hit.referenceNo)}`}</span> ${decision(hit.finalDecision)}`
  }
  if (hit.what === 'gone') {
    const because = hit.because === 'missing' ? 'its row was deleted by hand' : hit.because
    return html`<a href="${eventPath(hit.eventKey)}">Event <code>${hit.eventKey}…</code></a> ${statusBadge('gone')} <span class="soft">${because}</span>`
  }
  const row = eventRow(hit)
  const name = shown(row.name ?? '(no event name)')
  const notes = [
    ...(row.tookMs !== null && row.tookMs >= SLOW_MS ? [`took ${span(row.tookMs)}`] : []),
    ...(row.attempts ? [counted(row.attempts, 'try', 'tries')] : []),
    ...(row.note === null ? [] : [row.note]),
  ].join(', ')
  return html`${row.href ? html`<a href="${row.href}">${name}</a>` : name} ${environmentBadge(row.environment)} ${row.status}
${row.at && html`<span class="soft">${ago(row.at)}</span>`} ${decision(row.decision)} ${notes && html`<span class="soft">${shown(notes)}</span>`}`
}

/** The journey and the reference number of a row, as links. */
export function journeyLinks({
  environment,
  journeyId,
  referenceNo,
}: Pick<EventRow, 'environment' | 'journeyId' | 'referenceNo'>): readonly [Html | null, Html | null] {
  return [
    journeyId !== null && environment !== null
      ? html`<a href="${journeyPath({ environment, journeyId })}"><code>${shown(journeyId, 40)}</code></a>`
      : null,
    referenceNo !== null ? html`<a href="${searchPath(referenceNo)}">${shown(referenceNo, 40)}</a>` : null,
  ]
}
