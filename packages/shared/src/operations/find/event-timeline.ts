import {
  type GoneEvent,
  keepsFirst,
  type LetterAct,
  type LetterOfEvent,
  type RefusedEvent,
  type WholeEvent,
} from '../../db/index.ts'
import type { WaitingEvent } from './waiting.ts'

/** One thing that happened to an event. */
export type Moment = {
  readonly what:
    | 'refused'
    | 'received'
    | 'queued'
    | 'failed'
    | 'act'
    | 'waiting'
    | 'landed'
    | 'gone'
    | 'duplicates'
  /** Null if the time is not kept. */
  readonly at: Date | null
  readonly words: string
  /** Since the moment before that has a time, in ms. Never negative. */
  readonly sinceMs: number | null
  /** The dead letter that it is about. */
  readonly letter: number | null
}

type Known = {
  readonly event: WholeEvent | null
  readonly gone: GoneEvent | null
  readonly waiting: WaitingEvent | null
  readonly refusal: RefusedEvent | null
  readonly letters: readonly LetterOfEvent[]
  readonly acts: readonly LetterAct[]
}

type Untimed = Pick<Moment, 'what' | 'words'> & { readonly at: Date | null; readonly letter?: number }

/** What happened to an event, in the order of time. */
export function eventTimeline({ event, gone, waiting, refusal, letters, acts }: Known): Moment[] {
  const timed: Untimed[] = [
    ...(refusal ? refusals(refusal) : []),
    ...receipts(event, waiting, letters),
    ...letters.flatMap(failures),
    ...acts.map(({ letter, at, actor, action, reason }) => ({
      what: 'act' as const,
      at,
      letter,
      words: `${actor}: ${action} of dead letter ${letter}${reason ? ` (${reason})` : ''}`,
    })),
    ...(event
      ? [
          {
            what: 'landed' as const,
            at: event.processedAt,
            words: LANDED[event.via] ?? `landed, by way of ${event.via}`,
          },
        ]
      : []),
    ...(gone ? [{ what: 'gone' as const, at: gone.landedAt, words: `landed; ${GONE[gone.because]}` }] : []),
  ]
  const inOrder = timed.toSorted((a, b) => (a.at?.getTime() ?? 0) - (b.at?.getTime() ?? 0))
  const queued = queuedIn(event, waiting)
  if (queued) inOrder.splice(inOrder.findIndex(({ what }) => what === 'received') + 1, 0, queued)
  if (waiting) inOrder.push({ what: 'waiting', at: null, words: waitsIn(waiting) })
  if (event && event.duplicates > 0) {
    const times = event.duplicates === 1 ? 'once more' : `${event.duplicates} more times`
    inOrder.push({
      what: 'duplicates',
      at: null,
      words: `delivered ${times} with the same bytes; counted, not landed again`,
    })
  }
  return withGaps(inOrder)
}

const LANDED: Readonly<Record<string, string>> = {
  redis: 'landed, from Redis',
  inbox: 'landed, from the inbox',
  replay: 'landed, by a replay',
}
const GONE: Readonly<Record<GoneEvent['because'], string>> = {
  dropped: 'retention has dropped it since',
  erased: 'it has been erased, or came after its erasure',
  missing: 'its row was deleted by hand',
}

function refusals({ firstRefusedAt, lastRefusedAt, deliveries }: RefusedEvent): Untimed[] {
  const first: Untimed = { what: 'refused', at: firstRefusedAt, words: 'answered 503: no store took it' }
  if (deliveries === 1) return [first]
  return [first, { what: 'refused', at: lastRefusedAt, words: `answered 503, ${deliveries} times by then` }]
}

/** When it was received, by the row that knows it. */
function receipts(
  event: WholeEvent | null,
  waiting: WaitingEvent | null,
  letters: readonly LetterOfEvent[],
): Untimed[] {
  if (event) {
    const claimed = event.request?.claimedAt
    const note = claimed === undefined ? '' : `; the clock of the ingest was ahead and said ${claimed}`
    return [{ what: 'received', at: event.receivedAt, words: `received${note}` }]
  }
  if (waiting?.receivedAt) return [{ what: 'received', at: waiting.receivedAt, words: 'received' }]
  const first = letters.findLast(({ receivedAt }) => receivedAt !== null)
  return first ? [{ what: 'received', at: first.receivedAt, words: 'received' }] : []
}

function queuedIn(event: WholeEvent | null, waiting: WaitingEvent | null): Untimed | undefined {
  const where =
    waiting?.where ?? (event?.via === 'redis' ? 'queue' : event?.via === 'inbox' ? 'inbox' : undefined)
  if (!where) return undefined
  return { what: 'queued', at: null, words: where === 'queue' ? 'put into the queue' : 'put into the inbox' }
}

function waitsIn({ where, attempts, lastError }: WaitingEvent): string {
  const tries = attempts > 0 ? `, ${attempts} ${attempts === 1 ? 'try has' : 'tries have'} failed` : ''
  return `waits in the ${where}${tries}${lastError ? `: ${lastError.slice(0, 300)}` : ''}`
}

function failures(letter: LetterOfEvent): Untimed[] {
  const became = { what: 'failed' as const, at: letter.firstFailedAt, letter: letter.id }
  const isWhole = keepsFirst(letter)
  const known = letter.failures.toReversed().map(({ failedAt, reason, errorMessage }, index) => {
    const isFirst = isWhole && index === 0
    const words = isFirst ? (reason === 'conflict' ? ANOTHER_BODY : BECAME) : 'failed again'
    return { ...became, at: failedAt, words: `${words}: ${reason}, ${errorMessage}` }
  })
  if (isWhole) return known
  return [{ ...became, words: `${BECAME}; its errors before the next one here are not kept` }, ...known]
}

const BECAME = 'became a dead letter'
const ANOTHER_BODY = 'another body came under its id'

function withGaps(moments: readonly Untimed[]): Moment[] {
  let last: number | undefined
  return moments.map(({ letter = null, at, ...moment }) => {
    const time = at?.getTime()
    const sinceMs = time === undefined || last === undefined ? null : Math.max(0, time - last)
    last = time ?? last
    return { ...moment, at, sinceMs, letter }
  })
}
