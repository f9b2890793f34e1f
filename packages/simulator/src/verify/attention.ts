import { normalise } from './facts.ts'
import { isUnknown, type LandedEvent, MANUAL_DECISIONS, reviewIn, SYSTEM_DECISIONS } from './model.ts'

/** A field that the receiver may be unable to know. */
export type Field = 'systemDecision' | 'manualDecision' | 'resubmission' | 'renewal'
type Decision = 'systemDecision' | 'manualDecision'

/** The values that a field may have because of a reason for attention. */
type Doubts = Partial<Record<Field, readonly (string | null)[]>>

/** Redeliveries end after half an hour ("Webhook FAQ"). Events that are further apart are received in order. */
const CLOSE_MS = 30 * 60_000
/** The column has at most this many characters, so the last reason may be cut. */
const MAX_LENGTH = 1_000

/**
 * Reads why a journey needs attention, and checks each reason against the events that have landed.
 *
 * @returns the values that the reasons excuse, and the reasons that no event explains
 */
export function readAttention(
  text: string | null,
  landed: readonly LandedEvent[],
): { doubts: Doubts; unexplained: string[] } {
  const doubts: Doubts = {}
  const unexplained: string[] = []
  const reasons = text === null ? [] : text.split('; ')
  if (text !== null && text.length >= MAX_LENGTH) reasons.pop()
  for (const reason of reasons) {
    const explained = explain(reason, landed)
    if (explained === undefined) unexplained.push(reason)
    for (const [field, values] of Object.entries(explained ?? {}) as [Field, readonly string[]][])
      doubts[field] = [...(doubts[field] ?? []), ...values]
  }
  return { doubts, unexplained }
}

/** The values that the landed events state for a decision, each with its events. */
export function claims(field: Decision, landed: readonly LandedEvent[]) {
  const read = ({ facts }: LandedEvent) =>
    field === 'manualDecision' ? reviewIn(facts) : facts.systemDecision
  return Map.groupBy(landed, read)
}

/** Of values that contradict each other, a reason names the most cautious one first. That one is current. */
function explain(reason: string, landed: readonly LandedEvent[]): Doubts | undefined {
  const values = [...reason.matchAll(/"([^"]*)"/g)].map(([, value = '']) => value)
  const shape = reason.replace(/"[^"]*"( and "[^"]*")*/, '…')
  const isClaimed = (field: Decision) => values.every((value) => claims(field, landed).has(value))
  switch (shape) {
    case 'unknown event …':
      return landed.some(({ facts }) => isUnknown(facts) && facts.name === normalise(values[0] ?? ''))
        ? {}
        : undefined
    case 'unknown system decision …':
      return isClaimed('systemDecision') && !values.some((value) => SYSTEM_DECISIONS.has(value))
        ? {}
        : undefined
    case 'unknown manual decision …':
      return isClaimed('manualDecision') && !values.some((value) => MANUAL_DECISIONS.has(value))
        ? {}
        : undefined
    case 'system decisions … came too close together to know the last one':
      return areClose('systemDecision', values, landed) ? { systemDecision: values.slice(0, 1) } : undefined
    case 'manual decisions … came too close together to know the last one':
      return areClose('manualDecision', values, landed) ? { manualDecision: values.slice(0, 1) } : undefined
    case 'a Finished Journey that says … came too close to later events':
      return isClaimed('systemDecision')
        ? { systemDecision: [...claims('systemDecision', landed).keys()] }
        : undefined
    case 'what may answer a request for steps came too close to it to know which was first':
      return isRequestClose(landed) ? { resubmission: ['open'], renewal: ['open', 'overdue'] } : undefined
    default:
      return undefined
  }
}

/** Whether each value is stated by an event that was received close to one with another value. */
function areClose(field: Decision, values: readonly string[], landed: readonly LandedEvent[]): boolean {
  const byValue = claims(field, landed)
  return values.every((value) =>
    values.some((other) => other !== value && someClose(byValue.get(value) ?? [], byValue.get(other) ?? [])),
  )
}

function isRequestClose(landed: readonly LandedEvent[]): boolean {
  const named = (...names: string[]) => landed.filter(({ facts }) => names.includes(facts.name))
  const requests = [
    ...named('verification update required', 'kyc renewal deadline exceeded'),
    ...landed.filter(({ facts }) => facts.manualDecision === 'Resubmission Requested'),
  ]
  return someClose(requests, named('finished journey', 'updated journey', 'manually reviewed'))
}

function someClose(some: readonly LandedEvent[], others: readonly LandedEvent[]): boolean {
  return some.some((a) => others.some((b) => a !== b && Math.abs(a.at - b.at) <= CLOSE_MS))
}
