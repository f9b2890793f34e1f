import type { JourneyEvent } from './fold.ts'

/** Longer ones are not kept, so that a row stays on its page; such a journey's events are read instead. */
const MAX_LENGTH = 1_500
/** Another one is not read. It rises with every change of `Line`, and of how `parseEvent` reads what is in it. */
const VERSION = 1

type Line = [
  kind: JourneyEvent['kind'],
  event: string | null,
  referenceNo: string | null,
  systemDecision: string | null,
  manualDecision: string | null,
  finalDecision: string | null,
  finalWithoutManual: boolean,
  action: string | null,
  trigger: string | null,
  previousSystemDecision: string | null,
  amlVersion: number | null,
  conflict: boolean,
  firstAt: number,
  lastAt: number,
  count: number,
]

/** What a journey's events say, those that say the same as one, as the text of the column `told`. */
export function writeDigest(told: readonly JourneyEvent[]): string | null {
  const text = JSON.stringify([VERSION, ...told.map(lineOf)])
  return text.length > MAX_LENGTH ? null : text
}

/**
 * @param row a journey's, with how many events it counts: where an older version or a hand has written it, `told` does
 * not tell of all of them
 * @returns undefined where the events must be read
 */
export function readDigest(row: {
  readonly told: string | null
  readonly events: number
}): JourneyEvent[] | undefined {
  try {
    const [version, ...lines] = JSON.parse(row.told ?? 'null') as [number, ...Line[]]
    const told = version === VERSION ? lines.map(eventOf) : []
    return told.reduce((sum, { count }) => sum + count, 0) === row.events ? told : undefined
  } catch {
    return undefined
  }
}

function lineOf(event: JourneyEvent): Line {
  return [
    event.kind,
    event.event,
    event.referenceNo,
    event.systemDecision,
    event.manualDecision,
    event.finalDecision,
    event.finalWithoutManual,
    event.action,
    event.trigger,
    event.previousSystemDecision,
    event.amlVersion,
    event.conflict,
    event.firstAt,
    event.lastAt,
    event.count,
  ]
}

function eventOf(line: Line): JourneyEvent {
  return {
    kind: line[0],
    event: line[1],
    referenceNo: line[2],
    systemDecision: line[3],
    manualDecision: line[4],
    finalDecision: line[5],
    finalWithoutManual: line[6],
    action: line[7],
    trigger: line[8],
    previousSystemDecision: line[9],
    amlVersion: line[10],
    conflict: line[11],
    firstAt: line[12],
    lastAt: line[13],
    count: line[14],
  }
}
