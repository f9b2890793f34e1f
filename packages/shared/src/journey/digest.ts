import { fromLine, type JourneyEvent, type Line, toLine } from './event.ts'

/** A longer digest is not kept, so that a row stays on its page: the events of such a journey are read instead. */
const MAX_LENGTH = 1_500
/** Raise it when the facts change, or how `parseEvent` reads one. A digest of another version is not used. */
export const VERSION = 1

/** The coalesced events of a journey as the text that its row carries for the next fold; null if it is too long. */
export function writeDigest(events: readonly JourneyEvent[]): string | null {
  const text = JSON.stringify([VERSION, ...events.map(toLine)])
  return text.length > MAX_LENGTH ? null : text
}

/**
 * @param row a journey's digest and its number of events: they differ if an older version or a person has changed the
 * row
 * @returns undefined if the events must be read
 */
export function readDigest(row: {
  readonly digest: string | null
  readonly events: number
}): JourneyEvent[] | undefined {
  try {
    const [version, ...lines] = JSON.parse(row.digest ?? 'null') as [number, ...Line[]]
    if (version !== VERSION) return undefined
    const events = lines.map(fromLine)
    return events.reduce((sum, { count }) => sum + count, 0) === row.events ? events : undefined
  } catch {
    return undefined
  }
}
