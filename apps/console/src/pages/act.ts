import type {
  DeadLetterSummary,
  LetterFilter,
  OperationKind,
  OperationPlan,
  Preview,
} from '@sluice/shared/operations'
import { type Html, html } from '../html.ts'
import { filterPairs } from '../parts/letter-paths.ts'
import { journeyPath } from '../parts/links.ts'
import { counted } from '../parts/states.ts'
import { shown } from '../parts/text.ts'

/** What a person has filled in, as text. */
export type ActForm = {
  readonly mode: string
  readonly sample: string
  readonly rate: string
  readonly stopAfter: string
  readonly why: string
}

export const EMPTY_FORM: ActForm = { mode: 'sample', sample: '5', rate: '', stopAfter: '10', why: '' }

export const KIND_NAMES: Readonly<Record<OperationKind, string>> = {
  replay: 'Replay',
  discard: 'Discard',
  undo: 'Open again:',
}

const SUBMIT: Readonly<Record<OperationKind, string>> = {
  replay: 'Replay',
  discard: 'Discard',
  undo: 'Open again',
}

export type ActShown = {
  readonly kind: OperationKind
  readonly filter: LetterFilter
  readonly plan: OperationPlan
  /** Undefined if others hold the letters just now. */
  readonly preview: Preview | undefined
  /** The newest one of them. */
  readonly newest: DeadLetterSummary | undefined
  readonly form: ActForm
  /** Why it was not started. */
  readonly problem?: string | undefined
}

/** Asks before an act on one letter or many: says to how many, what would become of the first, and wants a reason. */
export function actPage(asked: ActShown): Html {
  return html`<section class="asking">${actDialog(asked)}</section>`
}

export function actDialog({ kind, filter, plan, preview, newest, form, problem }: ActShown): Html {
  const many = plan.count > 1
  return html`<div class="dialog" role="group" aria-labelledby="act-title">
<h1 id="act-title">${KIND_NAMES[kind]} ${counted(plan.count, 'dead letter')}</h1>
<p class="soft">${shown(plan.words, 1_000)} · ${counted(plan.journeys, 'journey')}</p>
${newest && html`<p>${many && 'The newest: '}<code>${shown(newest.errorClass)}</code> ${shown(newest.errorMessage)}</p>`}
${problem && html`<p class="note bad" role="alert">${problem}</p>`}
${preview && previewNote(preview, plan.count)}
${
  plan.count === 0
    ? html`<p>There is nothing to act on.</p>`
    : html`<form method="post" action="/dead-letters/act" class="stack">
<input type="hidden" name="kind" value="${kind}"><input type="hidden" name="expected" value="${plan.count}">
${filterPairs(filter).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
${many && kind === 'replay' && sampling(form)}
${many && pace(kind, form)}
<label for="why">Reason</label>
<textarea id="why" name="why" required maxlength="1000" rows="2" placeholder="Kept in the audit" autofocus>${form.why}</textarea>
<div class="row"><button type="submit" class="${kind === 'discard' ? 'danger' : 'primary'}">${SUBMIT[kind]}</button><a class="button" href="/dead-letters">Back</a></div>
</form>`
}
</div>`
}

function sampling({ mode, sample }: ActForm): Html {
  const first = mode === 'sample'
  const radio = (value: string, chosen: boolean) =>
    chosen
      ? html`<input type="radio" name="mode" value="${value}" checked>`
      : html`<input type="radio" name="mode" value="${value}">`
  return html`<fieldset class="bare"><legend class="unseen">How many first</legend>
<div class="row"><label>${radio('sample', first)} First</label> <input class="few" name="sample" type="number" min="1" max="1000" value="${sample}" aria-label="Letters of the sample"> then wait for me</div>
<div class="row"><label>${radio('all', !first)} All at once</label></div></fieldset>`
}

function pace(kind: OperationKind, { rate, stopAfter }: ActForm): Html {
  return html`<div class="row">At most <input class="few" name="rate" type="number" min="1" max="10000" value="${rate}" placeholder="any" aria-label="Letters a second"> a second${kind === 'replay' && html`, stop after <input class="few" name="stopAfter" type="number" min="1" max="1000000000" value="${stopAfter}" placeholder="never" aria-label="Failures before it stops"> failures`}</div>`
}

const WOULD: Readonly<Record<Preview['letters'][number]['outcome'], string>> = {
  landed: 'would land',
  duplicate: 'would be duplicates',
  late_duplicate: 'would be duplicates of dropped events',
  conflict: 'would be conflicts',
  erased: 'are of erased journeys',
  fails: 'would fail again',
  busy: 'cannot be tried now',
  discarded: 'would be discarded',
  opened: 'would be open again',
}

/** Of the first letters: what would become of them, and of the rows of their journeys. */
function previewNote({ letters, journeys }: Preview, count: number): Html | null {
  if (letters.length === 0) return null
  const outcomes = Map.groupBy(letters, ({ outcome }) => outcome)
  const sums = [...outcomes].map(([outcome, of]) => `${of.length} ${WOULD[outcome]}`).join(', ')
  const decisions = journeys.flatMap(({ changes }) =>
    changes.filter(({ field, from }) => field === 'finalDecision' && from !== null),
  )
  const isBad = outcomes.has('fails') || outcomes.has('conflict')
  return html`<div class="note ${isBad ? 'bad' : 'none'}">${letters.length < count ? `Of the first ${letters.length}: ` : ''}${sums}; ${counted(journeys.length, 'journey')} would change${
    decisions.length > 0 &&
    html`, <strong>${counted(decisions.length, 'final decision')}</strong> (${decisions
      .slice(0, 3)
      .map(({ from, to }) => `${shown(String(from), 40)} → ${shown(String(to ?? 'none'), 40)}`)
      .join(', ')})`
  }.
${letters.some(({ error }) => error) && html`<ul>${letters.filter(({ error }) => error).map(({ id, error }) => html`<li><a href="/dead-letters/${id}">${id}</a>: ${error && shown(error)}</li>`)}</ul>`}
${journeys.length > 0 && html`<details><summary>Show rows</summary>${journeys.map(journeyRows)}</details>`}</div>`
}

function journeyRows({ environment, journeyId, isNew, changes }: Preview['journeys'][number]): Html {
  return html`<p><a href="${journeyPath({ environment, journeyId })}">${shown(journeyId)}</a> ${isNew && '(new)'}</p>
<ul>${changes.map(({ field, from, to }) => html`<li>${field}: <del>${shown(String(from ?? '–'))}</del> → <ins>${shown(String(to ?? '–'))}</ins></li>`)}</ul>`
}
