import { decodeBody, parseExact, sha256, writeExact } from '@sluice/shared/idwise'
import type { ComparedConflict, DeadLetter, RecordedAction } from '@sluice/shared/operations'
import { type Html, html, type Part } from '../html.ts'
import { environmentBadge } from '../parts/badge.ts'
import { changesTable } from '../parts/changes.ts'
import { copyId } from '../parts/copy.ts'
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
    runbook: string | null
    mayAct: boolean
  },
): Html {
  const { id, event, environment, state, reason, errorClass, errorMessage } = letter
  return html`<h1>${event === null ? 'An event without a name' : shown(event, 100)} ${sentence(state)}</h1>
<p>${environmentBadge(environment)} dead letter ${id} ${copyId(letter.eventId ?? String(id))} · ${stateOf(state)} · ${reasonName(reason)}</p>
<div class="note bad"><code>${shown(errorClass)}</code> ${shown(errorMessage, 2_000)}</div>
${given.runbook && html`<p class="soft">${given.runbook}</p>`}
${given.mayAct && acts(letter)}
<div class="split">
<div>
${given.conflict && conflicting(given.conflict)}
<h2>Body, ${counted(letter.raw.length, 'byte')}</h2>
${body(letter)}
</div>
<div>
<h2>History</h2>
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

function body({ id, raw }: DeadLetter): Html {
  const bytes = decodeBody(raw) ?? raw
  const json = parseExact(bytes)
  const { text, isCut } = shownLines(json ? writeExact(json, '  ') : bytes.toString('utf8'), SHOWN)
  return html`<div class="card" hx-ignore><pre tabindex="0">${text}</pre></div>
${isCut && html`<p class="soft">The first ${SHOWN.toLocaleString('en')} characters are shown.</p>`}
<p class="soft">SHA-256 <code>${sha256(raw).toString('hex')}</code></p>
<div class="row"><a class="button" href="${letterPath(id)}/raw">Download the bytes</a></div>`
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

function history({ receivedAt, firstFailedAt, lastFailedAt, attempts, replays, state }: DeadLetter): Html[] {
  const failedAgain = lastFailedAt > firstFailedAt
  return [
    ...(receivedAt ? [html`<li>received ${moment(receivedAt)}</li>`] : []),
    html`<li class="failed">failed ${moment(firstFailedAt)} after ${counted(attempts, 'try', 'tries')}</li>`,
    ...(failedAgain ? [html`<li class="failed">failed again ${moment(lastFailedAt)}</li>`] : []),
    ...(replays > 0 ? [html`<li class="lost">replayed ${counted(replays, 'time')}</li>`] : []),
    html`<li class="${state === 'resolved' ? '' : 'missing'}">${stateOf(state)}</li>`,
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
