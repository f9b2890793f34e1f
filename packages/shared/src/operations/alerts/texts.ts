import type { SourceKind } from '../../runtime/index.ts'
import { counted, span, timeOfDay } from '../state/words.ts'

type Words = { readonly means: string; readonly command: string; readonly page: string }

const runbook = (name: string) => `docs/runbooks.md#${name}`
const KEPT = 'Nothing for IDWise: its events are accepted and kept.'

/** Of each alert: what it means for IDWise, the first command, and the page that says more. */
const WORDS: Readonly<Record<string, Words>> = {
  refusing: {
    means: 'Each refused event comes again 5, 15 and 30 minutes after its first try, and then never.',
    command: 'npx sluice doctor',
    page: runbook('refusing'),
  },
  'no-ingest': {
    means: 'IDWise cannot deliver. It gives up on an event 30 minutes after its first try.',
    command: 'docker compose up -d ingest',
    page: 'docs/operations.md#no-ingest-runs',
  },
  'nobody-consumes': {
    means: KEPT,
    command: 'docker compose up -d worker',
    page: runbook('nobody-consumes'),
  },
  late: { means: KEPT, command: 'docker compose up -d --scale worker=3', page: runbook('late') },
  'store-unsafe': {
    means: 'Nothing yet. If this store fails, events may be lost that IDWise does not send again.',
    command: 'npx sluice doctor',
    page: runbook('store-unsafe'),
  },
  'store-down': {
    means: 'Nothing, while the other store answers. If that fails too, events are refused.',
    command: 'npx sluice doctor',
    page: runbook('store-down'),
  },
  'dead-letters': {
    means: 'Nothing: IDWise does not send these events again. Sluice keeps them until you decide.',
    command: 'npx sluice dead groups',
    page: runbook('dead-letters'),
  },
  silence: {
    means: 'Perhaps it cannot reach Sluice. Press "Test URL" in its portal.',
    command: 'npx sluice now',
    page: runbook('silence'),
  },
  'partitions-missing': {
    means: KEPT,
    command: 'npx sluice retention partitions',
    page: runbook('partitions-missing'),
  },
  'retention-behind': {
    means: 'Nothing.',
    command: 'npx sluice retention',
    page: runbook('retention-behind'),
  },
  test: { means: 'Nothing.', command: 'npx sluice alerts list', page: 'docs/operations.md#alerts' },
}

/** What is, what IDWise notices, the first command, and the page that says more: one line for each. */
export function alertText(name: string, what: string): string {
  const words = WORDS[name]
  if (!words) return what
  return [
    what,
    `What IDWise notices: ${words.means}`,
    `First command: ${words.command}`,
    `More: ${words.page}`,
  ].join('\n')
}

/** Nobody is woken for refusals of sandboxes alone. */
export const severityOfRefusals = (kinds: readonly SourceKind[]) =>
  kinds.length > 0 && kinds.every((kind) => kind === 'sandbox') ? 'notice' : 'page'

/** The sources of refused events in brackets; nothing if they are of the source live alone. */
export function sourcesInWords(sources: readonly string[]): string {
  return sources.every((each) => each === 'live') ? '' : ` (${sources.join(', ')})`
}

/** How many events are at stake, and the minute at which IDWise gives up on the first of them. */
export function meaningOfRefusals(
  { events, givesUpAt }: { events: number; givesUpAt: Date | null },
  now: Date,
): string {
  if (!givesUpAt || events === 0) return 'IDWise gives up on an event 30 minutes after its first try.'
  const leftMs = givesUpAt.getTime() - now.getTime()
  const first = events === 1 ? 'a refused event' : `the first of ${counted(events, 'refused event')}`
  if (leftMs <= 0) return `IDWise gave up on ${first} at ${timeOfDay(givesUpAt, now)}.`
  return `IDWise gives up on ${first} in ${span(leftMs)} (${timeOfDay(givesUpAt, now)}).`
}

/** That it is over, for how long it was, and what became of the events. */
export function recoveryText(
  { name, text, peak }: { name: string; text: string; peak: number | null },
  { openedAt, resolvedAt }: { openedAt: Date; resolvedAt: Date },
): string {
  const [what] = text.split('\n')
  const came =
    name === 'refusing' && peak
      ? `\n${counted(peak, 'event')} had been refused; npx sluice now tells if one is lost.`
      : ''
  return `It is over after ${span(resolvedAt.getTime() - openedAt.getTime())}. It was: ${what}${came}`
}
