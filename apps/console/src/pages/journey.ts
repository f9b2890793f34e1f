import { hasFailed, type JourneyPage, type JourneyPageRead, markJourney } from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { decision, environmentBadge } from '../parts/badge.ts'
import { copyId } from '../parts/copy.ts'
import { hitLine } from '../parts/hits.ts'
import { lettersList } from '../parts/letters.ts'
import { eventPath, journeyPath, searchPath } from '../parts/links.ts'
import { newerHere } from '../parts/newer.ts'
import { counted, query } from '../parts/states.ts'
import { shown } from '../parts/text.ts'
import { ago, minute, moment, span } from '../parts/time.ts'
import { type Point, timeline } from '../parts/timeline.ts'
import { actionList } from './audit.ts'

type Entry = JourneyPage['timeline'][number]

/** One journey, now or as of one of its events. */
export function journeyPage(page: JourneyPage): Html {
  const { journey, state, at, missing, beside, letters, refused, dropped, total, later } = page
  const name = { environment: journey.environment, journeyId: journey.journeyId }
  const earlier = total - dropped - page.timeline.length - later.length
  return html`<p class="soft">Journey <code>${shown(journey.journeyId)}</code> ${copyId(journey.journeyId)}${journey.referenceNo !== null && html` · reference <a href="${searchPath(journey.referenceNo)}">${shown(journey.referenceNo)}</a>`} ${environmentBadge(journey.environment)}</p>
<h1>${sentence(page)}</h1>
${at === null && journeyNews(name, page)}
${at !== null && html`<p class="note">This is what was known after the marked event. <a href="${journeyPath(name)}">Show it as it is now</a></p>`}
${unlanded(page)}
${missing && html`<p class="note">${missing.words}</p>`}
${state?.needsAttention && html`<p class="note bad">Needs attention: ${shown(state.needsAttention, 1_000)}.</p>`}
<p class="soft">${counted(total, 'event')}${total > 1 && `, over ${span(journey.lastEventAt.getTime() - journey.firstEventAt.getTime())}`}; the last ${ago(journey.lastEventAt)}.</p>
<div class="split"><div>
${dropped > 0 && html`<p class="soft">${counted(dropped, 'event')} before ${journey.baseUntil && moment(journey.baseUntil)} ${dropped === 1 ? 'is' : 'are'} no longer stored.</p>`}
${earlier > 0 && html`<p class="soft">${counted(earlier, 'earlier event')} not shown.</p>`}
<div class="card pane">${timeline([
    ...page.timeline.map((entry, index) =>
      point(entry, page.timeline[index - 1], { name, isAt: entry.event.eventKey === at }),
    ),
    ...(missing
      ? [
          {
            gap: null,
            heading: html`<b>not here yet: ${NOT_YET[missing.what]}</b>`,
            text: null,
            look: 'missing' as const,
          },
        ]
      : []),
  ])}</div>
${later.length > 0 && html`<p class="soft">${counted(later.length, 'event')} came after that.</p>`}
</div><div>
${state && html`<div class="card pane"><dl>${facts(state)}</dl></div>`}
<h2>For the customer</h2>
<div class="card pane"><p id="paragraph">${shown(page.paragraph, 5_000)}</p><button type="button" hidden data-copy="#paragraph">Copy</button></div>
${beside.length > 0 && html`<h2>Other journeys of ${shown(journey.referenceNo ?? '')}</h2><div class="card pane"><ul class="list">${beside.map((other) => html`<li>${hitLine({ what: 'journey', ...other })}</li>`)}</ul></div>`}
${lettersList(letters)}
${page.acts.length > 0 && html`<h2>Acts</h2>${actionList(page.acts)}`}
${refusals(refused)}
</div></div>`
}

function journeyNews(
  { environment, journeyId }: { environment: string; journeyId: string },
  { journey, letters }: Partial<Pick<JourneyPage, 'journey'>> & Pick<JourneyPage, 'letters'>,
): Html {
  return newerHere(`/live/journey${query({ environment, id: journeyId, ...markJourney(journey, letters) })}`)
}

const NOT_YET = {
  decision: 'a decision',
  steps: 'the other steps',
  review: 'a decision of a reviewer',
  resubmission: 'the steps that were asked for again',
  renewal: 'the renewal',
} as const

/** A journey of which nothing has landed. */
export function journeyNotLandedPage(
  name: { environment: string; journeyId: string },
  page: Extract<JourneyPageRead, { kind: 'not_landed' }>,
): Html {
  const { letters, acts, refused } = page
  return html`<p class="soft">Journey <code>${shown(name.journeyId)}</code> ${environmentBadge(name.environment)}</p>
<h1>Nothing of this journey has landed.</h1>
${journeyNews(name, { letters })}
${unlanded(page)}
${lettersList(letters)}${acts.length > 0 && html`<h2>Acts</h2>${actionList(acts)}`}${refusals(refused)}`
}

/** In words, if nothing of a journey was found. */
export function nothingOfJourney({ looked }: Extract<JourneyPageRead, { kind: 'not_here' }>): string {
  const far = looked.length === 0 ? '' : ` Looked through ${looked.join('; ')}.`
  return `Nothing of this journey has been received here.${far}`
}

/** What is known of it and is not in its state yet. */
function unlanded({ waiting, letters, looked }: Pick<JourneyPage, 'waiting' | 'letters' | 'looked'>): Html {
  const failed = letters.filter(hasFailed).length
  return html`${waiting.length > 0 && html`<div class="note"><p>${counted(waiting.length, 'event')} of this journey ${waiting.length === 1 ? 'waits' : 'wait'} and may change it:</p><ul class="list">${waiting.map((event) => html`<li>${hitLine({ what: 'waiting', ...event })}</li>`)}</ul></div>`}
${failed > 0 && html`<p class="note bad">${counted(failed, 'event')} of this journey could not land: see its <a href="#letters">dead letters</a>.</p>`}
${looked.length > 0 && html`<p class="soft">More may wait. Looked through ${looked.join('; ')}.</p>`}`
}

function refusals(refused: JourneyPage['refused']): Html | null {
  if (refused.length === 0) return null
  return html`<h2>Refused, and not delivered since</h2><ul class="list">${refused.map((event) => html`<li>${hitLine({ what: 'refused', ...event })}</li>`)}</ul>`
}

const STAGES: Readonly<Record<string, string>> = {
  unknown: 'No known event has landed yet.',
  in_progress: 'The user is doing the steps.',
  submitted: 'All steps are submitted; no decision has landed yet.',
  finished: 'The check has finished.',
  reviewed: 'A reviewer has decided.',
  update_required: 'Steps were asked for again.',
  renewal_overdue: 'The deadline of the renewal has passed.',
}

function sentence({ state, timeline: entries, at }: JourneyPage): Html {
  if (!state) return html`Nothing of this journey was known yet.`
  const { finalDecision, manualDecision, systemDecision, stage } = state
  const when = entries.findLast(({ changed }) => changed.some(({ field }) => field === 'finalDecision'))
    ?.event.lastAt
  const time = when === undefined ? null : html` on ${minute(new Date(when))}`
  const isOpen =
    stage === 'in_progress' ||
    stage === 'submitted' ||
    stage === 'update_required' ||
    stage === 'renewal_overdue'
  if (finalDecision === null || isOpen) return html`${STAGES[stage] ?? ''}`
  if (manualDecision === finalDecision) {
    return html`${shown(finalDecision)} by a reviewer${time}${systemDecision !== null && html`, after the system said ${shown(systemDecision)}`}.`
  }
  return html`${shown(finalDecision)}, ${at === null ? 'says' : 'said'} the system${time}.`
}

function point(
  { event, changed, supersededBecause }: Entry,
  before: Entry | undefined,
  shownAs: { name: { environment: string; journeyId: string }; isAt: boolean },
): Point {
  const action = event.action ?? event.trigger
  const again = event.duplicates > 0 ? `, delivered ${counted(event.duplicates + 1, 'time')}` : ''
  const changes = changed.map(
    ({ field, from, to }, index) =>
      html`${index > 0 && ' · '}${WORDS[field] ?? field} <span class="soft">${worded(from)} →</span> ${decision(worded(to))}`,
  )
  const asOf = event.attachedByReference
    ? null
    : html` <a class="soft" href="${journeyPath(shownAs.name, { at: event.eventKey })}">as of then</a>`
  return {
    gap: before ? span(event.lastAt - before.event.lastAt) : null,
    heading: html`<a href="${eventPath(event.eventKey)}"><b>${shown(event.event ?? '(no event name)', 80)}</b></a>${action && html` · ${shown(action, 80)}`} <span class="soft">${moment(new Date(event.lastAt))}${again}</span>${asOf}${shownAs.isAt && html` <span class="badge wait">shown as of this</span>`}`,
    text:
      changed.length > 0 || supersededBecause
        ? html`${changes}${supersededBecause && html`<div class="soft">${changed.length === 0 && 'changed nothing: '}${shown(supersededBecause)}</div>`}`
        : html`<span class="soft">changed nothing</span>`,
    look: changed.length === 0 ? 'lost' : undefined,
  }
}

/** A stage has underscores. */
function worded(value: unknown): string {
  const text = String(value ?? '–')
  return Object.hasOwn(STAGES, text) ? text.replaceAll('_', ' ') : shown(text)
}

const WORDS: Readonly<Record<string, string>> = {
  referenceNo: 'reference',
  stage: 'stage',
  systemDecision: 'system decision',
  manualDecision: 'manual decision',
  finalDecision: 'final decision',
  amlVersion: 'AML version',
  resubmission: 'resubmission',
  renewal: 'renewal',
  needsAttention: 'needs attention',
}

function facts(state: NonNullable<JourneyPage['state']>): (Html | false)[] {
  const rows = [
    ['Stage', state.stage.replaceAll('_', ' ')],
    ['System', decision(state.systemDecision)],
    ['Reviewer', decision(state.manualDecision)],
    ['Final', decision(state.finalDecision)],
    ['AML version', state.amlVersion],
    ['Resubmission', state.resubmission],
    ['Renewal', state.renewal],
    ['First event', moment(state.firstEventAt)],
    ['Last event', moment(state.lastEventAt)],
  ] as const
  return rows.map(([name, value]) => value !== null && html`<dt>${name}</dt><dd>${value}</dd>`)
}
