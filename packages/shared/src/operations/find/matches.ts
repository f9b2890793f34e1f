import { toJsonb } from '../../db/index.ts'
import { type ExactJson, parseEvent, parseExact } from '../../idwise/index.ts'
import type { WaitingEvent } from './waiting.ts'
import type { Wanted } from './wanted.ts'

type Test = (event: ReturnType<typeof parseEvent>) => boolean

/** The test of what no column of a dead letter has; undefined if nothing of that is wanted. */
export function bodyTest(wanted: Wanted): ((raw: Buffer) => boolean) | undefined {
  const test = eventTest(wanted)
  return test && ((raw) => test(parseEvent(raw)))
}

/** Whether an event that waits is wanted. */
export function waitingTest(wanted: Wanted): (event: WaitingEvent, raw: Buffer | undefined) => boolean {
  const { environment, eventId, journey, referenceNo, ofReference, from, to } = wanted
  const test = bodyTest(wanted)
  const isEqual = (asked: string | undefined, given: string | null) => asked === undefined || asked === given
  return (event, raw) =>
    isEqual(environment, event.environment) &&
    isEqual(eventId, event.eventId) &&
    isEqual(journey, event.journeyId) &&
    isEqual(referenceNo, event.referenceNo) &&
    (ofReference === undefined ||
      event.referenceNo === ofReference.referenceNo ||
      ofReference.journeys.includes(event.journeyId ?? '')) &&
    (from === undefined || (event.receivedAt !== null && event.receivedAt >= from)) &&
    (to === undefined || (event.receivedAt !== null && event.receivedAt < to)) &&
    (test === undefined || (raw !== undefined && test(raw)))
}

function eventTest({ body, ...wanted }: Wanted): Test | undefined {
  const columns = ['kind', 'event', 'systemDecision', 'manualDecision', 'finalDecision'] as const
  const given = columns.filter((name) => wanted[name] !== undefined)
  const { decision } = wanted
  const fragments = body?.map((json) => parseExact(json))
  if (given.length === 0 && decision === undefined && !fragments) return undefined
  return (event) => {
    const decisions = [event.systemDecision, event.manualDecision, event.finalDecision]
    if (!given.every((name) => event[name] === wanted[name])) return false
    if (decision !== undefined && !decisions.includes(decision)) return false
    if (!fragments) return true
    const document = parseExact(toJsonb(event.json ?? ''))
    return document !== undefined && fragments.some((part) => part !== undefined && contains(document, part))
  }
}

/** What `@>` of `jsonb` says of two documents. */
function contains(whole: ExactJson, part: ExactJson): boolean {
  if (whole.kind === 'object' && part.kind === 'object') {
    const members = new Map(whole.members.map(({ key, value }) => [key, value]))
    return part.members.every(({ key, value }) => {
      const found = members.get(key)
      return found !== undefined && contains(found, value)
    })
  }
  if (whole.kind === 'array' && part.kind === 'array') {
    return part.items.every((wanted) => whole.items.some((item) => contains(item, wanted)))
  }
  return whole.kind === 'scalar' && part.kind === 'scalar' && comparable(whole.text) === comparable(part.text)
}

/** One text for equal scalars. */
function comparable(text: string): string {
  if (text.startsWith('"')) return `"${JSON.parse(text)}`
  const [, sign, whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  if (whole === '') return text
  const digits = (whole + fraction).replace(/^0+/, '')
  let end = digits.length
  while (digits[end - 1] === '0') end--
  if (end === 0) return '0'
  return `${sign}${digits.slice(0, end)}e${Number(exponent) - fraction.length + digits.length - end}`
}
