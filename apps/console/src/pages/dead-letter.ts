import { decodeBody, parseExact, sha256, writeExact } from '@sluice/shared/idwise'
import {
  type ComparedConflict,
  type DeadLetter,
  keepsFirst,
  type LetterFailure,
  type RecordedAction,
  receivedInLetter,
} from '@sluice/shared/operations'
import { type Html, html, type Part } from '../html.ts'
import { environmentBadge } from '../parts/badge.ts'
import { changesTable } from '../parts/changes.ts'
import { copyId } from '../parts/copy.ts'
import { curlDetails } from '../parts/curl.ts'
import { actPath, listPath } from '../parts/letter-paths.ts'
import { stateOf } from '../parts/letter-state.ts'
import { eventPath, journeyPath, letterPath } from '../parts/links.ts'
import { reasonName } from '../parts/reason.ts'
import { counted } from '../parts/states.ts'
import { shown, shownLines } from '../parts/text.ts'
import { moment } from '../parts/time.ts'
import { actionList } from './audit.ts'

/** Longer bodies are cut; the download has all of them. */
const SHOWN = 100_000

export function deadLetterPage(
  letter: DeadLetter,
  given: {
    actions: readonly RecordedAction[]
    conflict: ComparedConflict | null
    /** A line for a shell that sends the bytes again. */
    curl: string
    runbook: string | null
    mayAct: boolean
  },
): Html {
  const { id, event, environment, state, reason } = letter
  return html`<h1>${event === null ? 'An event without a name' : shown(event, 100)} ${sentence(state)}</h1>
<p>${environmentBadge(environment)} dead letter ${id} ${copyId(letter.eventId ?? String(id))} · ${stateOf(state)} · ${reasonName(reason)}</p>
${state === 'open' && html`<div class="note bad">${error(letter)}</div>`}
${state === 'discarded' && html`<p>It failed with: ${error(letter)}</p>`}
${state === 'open' && given.runbook && html`<p class="soft">${given.runbook}</p>`}
${given.mayAct && acts(letter)}
<div class="split">
<div>
${given.conflict && conflicting(given.conflict)}
<h2>Body, ${counted(letter.raw.length, 'byte')}</h2>
${body(letter, given.curl)}
</div>
<div>
<h2>History, the newest first</h2>
<div class="card pane"><ol class="timeline">${history(letter)}</ol></div>
<h2>Facts</h2>
<div class="card pane"><dl>${facts(letter)}</dl></div>
<h2>Acts</h2>
${given.actions.length === 0 ? html`<p class="soft">Nobody has acted on it yet.</p>` : actionList(given.actions)}
</div>
</div>`
}

function sentence(state: string): string {
  switch (state) {
    case 'open':
      return 'could not be landed'
    case 'replaying':
      return 'is on its way again'
    case 'resolved':
      return 'has landed by a replay'
    default:
      return `could not be landed, and was ${state}`
  }
}

function acts({ id, state }: DeadLetter): Html | null {
  const filter = { ids: [id] }
  if (state === 'discarded') {
    return html`<div class="row"><a class="button" href="${actPath('undo', filter)}">Open again…</a></div>`
  }
  if (state === 'resolved') return null
  return html`<div class="row"><a class="button primary" href="${actPath('replay', filter)}" data-key="r">Replay…</a><a class="button" href="${actPath('discard', filter)}">Discard…</a></div>`
}

function error({ errorClass, errorMessage }: Pick<LetterFailure, 'errorClass' | 'errorMessage'>): Html {
  return html`<code>${shown(errorClass)}</code> ${shown(errorMessage, 2_000)}`
}

function body({ id, raw, eventKey, envelope }: DeadLetter, curl: string): Html {
  const bytes = decodeBody(raw) ?? raw
  const json = parseExact(bytes)
  const { text, isCut } = shownLines(json ? writeExact(json, '  ') : bytes.toString('utf8'), SHOWN)
  return html`<div class="card" hx-ignore><pre tabindex="0">${text}</pre></div>
${isCut && html`<p class="soft">The first ${SHOWN.toLocaleString('en')} characters are shown.</p>`}
<p class="soft">SHA-256 <code>${sha256(raw).toString('hex')}</code></p>
<div class="row"><a class="button" href="${letterPath(id)}/raw">Download the bytes</a>
${receivedInLetter({ envelope }) && html`<a class="button" href="${letterPath(id)}/receipt">Download a receipt</a>`}
${eventKey && html`<a class="button" href="${eventPath(eventKey.toString('hex'))}">The event</a>`}</div>
${curlDetails(curl)}`
}

/** How this body differs from the one that came first under the same id, and has landed. */
function conflicting(conflict: ComparedConflict): Html {
  const heading = html`<h2>Compared with what has landed</h2>`
  if (conflict.kind === 'gone') {
    return html`${heading}<p>The event that came first under this id is not stored any more.</p>`
  }
  const link = html`<a href="${eventPath(conflict.eventKey)}">${shown(conflict.event ?? '(no event name)', 80)}</a>`
  return html`${heading}<p class="soft">${link}, received ${moment(conflict.receivedAt)}</p>
${changesTable(conflict, ['Landed', 'This one'])}`
}

/** The newest first. */
function history(letter: DeadLetter): Html[] {
  const { receivedAt, firstFailedAt, attempts, replays, state, failures } = letter
  const isWhole = keepsFirst(letter)
  return [
    html`<li class="${state === 'resolved' ? '' : 'missing'}">${stateOf(state)}</li>`,
    ...(replays > 0 ? [html`<li class="lost">replayed ${counted(replays, 'time')}</li>`] : []),
    ...failures.map((failure, index) => {
      const isFirst = isWhole && index === failures.length - 1
      const tries = index === 0 && ` after ${counted(attempts, 'try', 'tries')}`
      return html`<li class="failed">failed ${!isFirst && 'again '}${moment(failure.failedAt)}${tries}<br>
<span class="soft">${reasonName(failure.reason)}: ${error(failure)}</span></li>`
    }),
    ...(isWhole
      ? []
      : [
          html`<li class="failed">failed ${moment(firstFailedAt)}<br><span class="soft">Its errors until the next one here are not kept.</span></li>`,
        ]),
    ...(receivedAt ? [html`<li>received ${moment(receivedAt)}</li>`] : []),
  ]
}

function facts(letter: DeadLetter): Html[] {
  const { environment, journeyId, eventKey, eventId, referenceNo, operationId, fingerprint } = letter
  const journey: Part =
    journeyId && environment
      ? html`<a href="${journeyPath({ environment, journeyId })}">${shown(journeyId)}</a>`
      : journeyId && shown(journeyId)
  const key = eventKey?.toString('hex')
  const entries: [name: string, value: Part][] = [
    ['Journey', journey],
    ['Reference', referenceNo && shown(referenceNo)],
    ['Event id', eventId && shown(eventId)],
    ['Event', key && html`<a class="mono" href="${eventPath(key)}">${key.slice(0, 16)}…</a>`],
    ['Group', html`<a class="mono" href="${listPath('open', { fingerprint })}">${fingerprint}</a>`],
    ['Operation', operationId !== null && html`<a href="/operations/${operationId}">${operationId}</a>`],
  ]
  return entries.filter(([, value]) => value).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)
}
