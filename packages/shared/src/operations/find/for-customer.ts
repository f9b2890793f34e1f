import type { JourneyEvent, TimelineEntry } from '../../journey/index.ts'

/** What happened, for a person who knows nothing of events. */
const SENTENCES: Partial<Record<JourneyEvent['kind'], string>> = {
  finished_user_steps: 'all steps of the identity check were submitted',
  verification_update_required: 'some steps were asked for again',
  kyc_renewal_deadline_exceeded: 'the deadline of the renewal passed',
  finished_spot_check: 'a spot check was finished',
  finished_ongoing_check: 'an ongoing check was finished',
}

const DECISIONS: Readonly<Record<string, string>> = {
  Complete: 'passed',
  Incomplete: 'incomplete',
  Refer: 'for a reviewer to decide',
  Approved: 'approved',
  Rejected: 'rejected',
  'Resubmission Requested': 'for steps to be done again',
}

/** At most so many sentences, the last ones. */
const MOST = 12

/**
 * A paragraph about a journey in plain words, to be copied. Times are those at which we received the news, in the zone
 * that it names.
 *
 * @param zone such as `Europe/Berlin`
 */
export function paragraphForCustomer(
  timeline: readonly Pick<TimelineEntry<JourneyEvent>, 'event' | 'changed'>[],
  zone = 'UTC',
): string {
  const words = timeWords(zone)
  let before: string | undefined
  const sentences = timeline.flatMap((entry, index) => {
    const what = index === 0 ? `the identity check was begun${andThen(entry)}` : sentenceOf(entry)
    if (what === undefined) return []
    const { day, time } = words(entry.event.lastAt)
    const when = day === before ? `At ${time}` : `On ${day} at ${time}`
    before = day
    return [`${when} ${what}.`]
  })
  if (sentences.length === 0) return 'Nothing is known of this identity check yet.'
  const left =
    sentences.length > MOST ? [sentences[0] as string, '…', ...sentences.slice(1 - MOST)] : sentences
  return `${left.join(' ')} (Times: ${zone}.)`
}

type Entry = Pick<TimelineEntry<JourneyEvent>, 'event' | 'changed'>

function andThen(entry: Entry): string {
  const then = sentenceOf(entry)
  return then === undefined ? '' : `, and ${then}`
}

/** Undefined for an event that changed nothing a customer would notice. */
function sentenceOf({ event, changed }: Entry): string | undefined {
  const to = (field: string) => changed.find((change) => change.field === field)?.to
  const final = to('finalDecision')
  const decision = typeof final === 'string' ? final : undefined
  const known = SENTENCES[event.kind]
  if (known) return decision ? `${known} (${worded(decision)})` : known
  if (!decision) return undefined
  if (typeof to('manualDecision') === 'string') return `a reviewer decided: ${worded(decision)}`
  if (event.kind === 'finished_journey') return `the identity check ended: ${worded(decision)}`
  if (event.kind === 'aml_monitor_update')
    return `the monitoring of lists changed the result: ${worded(decision)}`
  return event.kind === 'finished_step' ? undefined : `the result changed: ${worded(decision)}`
}

function worded(decision: string): string {
  const known = Object.hasOwn(DECISIONS, decision) ? DECISIONS[decision] : undefined
  return known ? `${known} (“${decision}”)` : `“${decision}”`
}

function timeWords(timeZone: string): (ms: number) => { day: string; time: string } {
  const day = new Intl.DateTimeFormat('en-GB', { timeZone, day: 'numeric', month: 'long', year: 'numeric' })
  const time = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' })
  return (ms) => ({ day: day.format(ms), time: time.format(ms) })
}

export function isZone(zone: string): boolean {
  try {
    return zone !== '' && Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }))
  } catch {
    return false
  }
}
