import type { UsualGap } from '../../db/index.ts'
import type { Journey, JourneyEvent } from '../../journey/index.ts'

/** What a journey waits for. */
export type Missing = {
  /** The decision, the rest of the user's steps, a verdict of a reviewer. */
  readonly what: 'decision' | 'steps' | 'review' | 'resubmission' | 'renewal'
  /** When the event came that this should follow. */
  readonly since: Date
  readonly words: string
}

type State = Pick<Journey, 'stage' | 'systemDecision' | 'manualDecision' | 'renewal' | 'resubmission'>

/** @param gap how long the decision usually takes after the steps */
export function missingIn(
  { stage, systemDecision, manualDecision, renewal, resubmission }: State,
  events: readonly JourneyEvent[],
  now: Date,
  gap: UsualGap | null,
): Missing | null {
  function waits(
    what: Missing['what'],
    kinds: readonly string[],
    say: (ago: string) => string,
  ): Missing | null {
    const last = Math.max(...events.filter(({ kind }) => kinds.includes(kind)).map(({ lastAt }) => lastAt))
    if (!Number.isFinite(last)) return null
    return { what, since: new Date(last), words: say(inWords(now.getTime() - last)) }
  }
  const usual = gap
    ? `; usually it takes ${inWords(gap.median)}, and 95 of 100 come within ${inWords(gap.p95)}`
    : ''
  if (stage === 'submitted') {
    return waits(
      'decision',
      ['finished_user_steps'],
      (ago) => `All steps were submitted ${ago} ago, and no decision has come yet${usual}.`,
    )
  }
  if (stage === 'in_progress') {
    return waits(
      'steps',
      ['finished_step', 'step_submitted'],
      (ago) => `The last step was submitted ${ago} ago; the others are missing.`,
    )
  }
  if (stage === 'update_required' && resubmission === 'open') {
    return waits(
      'resubmission',
      ['verification_update_required', 'updated_journey', 'manually_reviewed'],
      (ago) => `Steps were asked for again ${ago} ago, and have not come yet.`,
    )
  }
  if (renewal === 'open' || renewal === 'overdue') {
    const late = renewal === 'overdue' ? ', and its deadline has passed' : ''
    return waits(
      'renewal',
      ['verification_update_required', 'kyc_renewal_deadline_exceeded'],
      (ago) => `A renewal was asked for ${ago} ago and has not come yet${late}.`,
    )
  }
  if (stage === 'finished' && systemDecision === 'Refer' && manualDecision === null) {
    return waits(
      'review',
      ['finished_journey', 'updated_journey', 'aml_monitor_update'],
      (ago) => `The decision is Refer since ${ago}, and no reviewer has decided yet.`,
    )
  }
  return null
}

const UNITS: readonly [name: string, ms: number][] = [
  ['day', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
]

/** A duration in its largest unit: `3 h`, `2 days`. */
function inWords(ms: number): string {
  const [name, size] = UNITS.find(([, size]) => ms >= size) ?? ['s', 1_000]
  const count = Math.max(0, Math.floor(ms / size))
  return `${count} ${name}${name === 'day' && count !== 1 ? 's' : ''}`
}
