import type { RefusedSince } from '../../db/index.ts'
import { REDELIVERY_SPAN_MS, SURE_SPAN_MS, sureUntil } from '../../idwise/index.ts'
import type { SourceKind } from '../../runtime/index.ts'
import { counted, span, timeOfDay } from '../state/words.ts'

type Words = {
  readonly means: string
  readonly command: string
  readonly never: string
  readonly page?: string
}

const KEPT = 'Nothing: its events are accepted and kept.'
const DOCTOR = 'npx sluice doctor'
/** IDWise's "intervals" of 5, 10 and 15 minutes are gaps, or times after the first try. */
const PATIENCE = `${SURE_SPAN_MS / 60_000} to ${span(REDELIVERY_SPAN_MS)}`

/** Of each alert, by its heading in runbooks.md: what IDWise notices, the first command, and what not to do. */
export const ALERT_WORDS = {
  refusing: {
    means: `It sends each refused event again three times, until ${PATIENCE} after the first try, and then never.`,
    command: DOCTOR,
    never: 'Do not stop the ingests: an address that does not answer counts as a try as well.',
  },
  'given-up': {
    means: 'It will not send these events again.',
    command: 'npx sluice now',
    never: 'Do not wait for them: fetch the results with the API of IDWise.',
  },
  'no-ingest': {
    means: `It cannot deliver, and gives up on an event ${PATIENCE} after its first try.`,
    command: DOCTOR,
    never: 'Do not change the address in the portal of IDWise.',
  },
  'nobody-consumes': {
    means: KEPT,
    command: DOCTOR,
    never: 'Do not empty the queue.',
  },
  late: { means: KEPT, command: DOCTOR, never: 'Do not restart Redis.' },
  'credentials-refused': {
    means: `Each event is answered 401. It gives up on it ${PATIENCE} after its first try.`,
    command: 'npx sluice now',
    never: 'Do not turn the authentication off.',
  },
  rejected: {
    means: KEPT,
    command: DOCTOR,
    never: 'Do not discard anything: the events land once Postgres takes them.',
  },
  'store-unsafe': {
    means: 'Nothing, until the store fails: then events may be lost that it does not send again.',
    command: DOCTOR,
    never: 'Do not restart the store before its setting is right.',
  },
  'store-emptied': {
    means: 'Nothing: it has its answer for the events that waited there, and will not send them again.',
    command: DOCTOR,
    never: 'Do not restart Redis: its append-only file may still have what is gone.',
  },
  'store-read-only': {
    means: 'Nothing, while the other store takes the events. Otherwise they are refused.',
    command: DOCTOR,
    never: 'Do not promote a second server by hand: which one is the primary?',
  },
  'store-full': {
    means: 'Nothing yet. A full store takes no event, and two full stores refuse them.',
    command: DOCTOR,
    never: 'Do not delete files of the store.',
  },
  'store-down': {
    means: 'Nothing, while the other store answers. If that fails too, events are refused.',
    command: DOCTOR,
    never: 'Do not delete its data to make it start.',
  },
  'dead-letters': {
    means: 'Nothing: it has its answer, and will not send these events again. Sluice keeps them.',
    command: 'npx sluice dead groups',
    never: 'Do not discard what you have not read.',
  },
  conflict: {
    means: 'Nothing. It has sent another body under an event id that is stored; the first body stays.',
    command: 'npx sluice dead groups',
    never: 'Do not replay it before you have compared both bodies: it would fail again.',
  },
  silence: {
    means: 'Perhaps that it cannot reach Sluice. Press "Test URL" in its portal.',
    command: 'npx sluice now',
    never: 'Do not change the address in the portal.',
  },
  fallback: {
    means: KEPT,
    command: DOCTOR,
    never: 'Do not take Postgres down now: no store would be left.',
  },
  drift: {
    means: 'Nothing: these events are accepted and land like all others.',
    command: 'npx sluice drift',
    never: 'Do not refuse such events, and do not acknowledge what you have not looked at.',
  },
  'partitions-missing': {
    means: KEPT,
    command: 'npx sluice retention partitions',
    never: 'Do not make a DEFAULT partition.',
  },
  'retention-behind': {
    means: 'Nothing.',
    command: 'npx sluice retention',
    never: 'Do not drop partitions by hand: their keys and facts would be lost.',
  },
  'backup-behind': {
    means: 'Nothing. If Postgres is lost, so is all that was not archived, and it will not send it again.',
    command: DOCTOR,
    never: 'Do not delete files of pg_wal: Postgres keeps there what is not archived.',
  },
  'replica-gone': {
    means: 'Nothing, until the primary fails: then no server takes over.',
    command: DOCTOR,
    never: 'Do not restart the primary now.',
  },
  'erased-sends': {
    means: 'Nothing: its events are answered 200, and only counted.',
    command: 'npx sluice erase list',
    never: 'Do not take the erasure back. Ask who still has the person in IDWise.',
  },
} as const satisfies Record<string, Words>

/** The names that alerts may have. */
export const ALERT_NAMES = Object.keys(ALERT_WORDS).toSorted()

/** @param name its heading in runbooks.md. @returns undefined for a rule of Prometheus' alone */
export function wordsOfAlert(name: string): Words | undefined {
  return Object.hasOwn(ALERT_WORDS, name) ? ALERT_WORDS[name as keyof typeof ALERT_WORDS] : undefined
}

/** What is, what IDWise notices, the first command, and the page that says more: one line for each. */
export function alertText(name: string, what: string): string {
  const words = wordsOfAlert(name)
  if (!words) return what
  return [
    what,
    `What IDWise notices: ${words.means}`,
    `First command: ${words.command}`,
    words.never,
    `More: docs/runbooks.md#${name}`,
  ].join('\n')
}

/** People are told once more of refusals, as a subject of its own. */
export const GIVES_UP_SOON = 'IDWise gives up soon'
const SOON_MS = 300_000

/** Whether IDWise may give up in less than five minutes. */
export const mayGiveUpSoon = (givesUpAt: Date, now: Date) =>
  sureUntil(givesUpAt).getTime() - now.getTime() < SOON_MS

/** Nobody is woken for sandboxes alone. */
export const severityFor = (kinds: readonly SourceKind[]) =>
  kinds.length > 0 && kinds.every((kind) => kind === 'sandbox') ? 'notice' : 'page'

/** How many events are at stake, and when IDWise gives up on the first of them, in both readings of its page. */
export function meaningOfRefusals(
  { events, givesUpAt }: { events: number; givesUpAt: Date | null },
  now: Date,
): string {
  if (!givesUpAt || events === 0) return `IDWise gives up on an event ${PATIENCE} after its first try.`
  const leftMs = givesUpAt.getTime() - now.getTime()
  const first = events === 1 ? 'the refused event' : `the first of ${counted(events, 'refused event')}`
  if (leftMs <= 0) return `IDWise gave up on ${first} at ${exactly(givesUpAt, now)}.`
  const sure = exactly(sureUntil(givesUpAt), now)
  return `IDWise gives up on ${first} in ${span(leftMs)} (${exactly(givesUpAt, now)}); count on nothing after ${sure}.`
}

/** The time of day to the second, such as `14:17:09 UTC`. */
function exactly(at: Date, now: Date): string {
  return timeOfDay(at, now).replace(/ UTC$/, `:${at.toISOString().slice(17, 19)} UTC`)
}

/** That it is over, for how long it was, and what became of the events. */
export function recoveryText(
  text: string,
  { openedAt, resolvedAt, refused }: { openedAt: Date; resolvedAt: Date; refused?: RefusedSince },
): string {
  const [what] = text.split('\n')
  const over = `It is over after ${span(resolvedAt.getTime() - openedAt.getTime())}.`
  if (!refused?.first || !refused.last) return `${over} It was: ${what}`
  const { events, again, first, last } = refused
  const lost = events - again
  const times = `${exactly(first, resolvedAt)} to ${exactly(last, resolvedAt)}`
  return [
    `${over} ${counted(events, 'event')} ${events === 1 ? 'was' : 'were'} refused: ${again.toLocaleString('en')} came again, ${lost.toLocaleString('en')} ${lost === 1 ? 'is' : 'are'} lost.`,
    `The refusals were from ${times}.`,
    ...(lost > 0 ? ['First command: npx sluice now', 'More: docs/runbooks.md#given-up'] : []),
  ].join('\n')
}
