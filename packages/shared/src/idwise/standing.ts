import { REDELIVERY_SPAN_MS } from './journey-event.ts'

/** A value that an event states, with what is known of the event's place among the others. */
export type Claim = {
  readonly value: string
  /** Natural order of the event's type; a higher one comes later. */
  readonly rank: number
  /** Arrival, ms since 1970. */
  readonly at: number
  /** Values that this one has taken the place of, where the events say so. */
  readonly replaces: readonly string[]
  /** Whether a claim that replaces this value must be the later one: nothing else can have brought it back. */
  readonly replaceable: boolean
}

/** From the most to the least cautious. A value that nobody knows comes before all of them. */
const CAUTION = ['Rejected', 'Refer', 'Resubmission Requested', 'Incomplete', 'Complete', 'Approved']

/**
 * The value that no other claim overrules.
 *
 * @returns where several stand, which cannot be put in order, the most cautious one, and all of them as `contested`;
 * null where nothing is claimed
 */
export function standing(claims: readonly Claim[]): { value: string | null; contested: string[] } {
  const distinct = newestOfEach(claims)
  if (distinct.length <= 1) return { value: distinct[0]?.value ?? null, contested: [] }
  const unruled = distinct.filter((claim) => !distinct.some((other) => overrules(other, claim)))
  // Three claims can overrule each other in a circle, by stage, stage and time; then the highest stage stands.
  const top = Math.max(...distinct.map(({ rank }) => rank))
  const last = unruled.length > 0 ? unruled : distinct.filter(({ rank }) => rank === top)
  const values = [...new Set(last.map(({ value }) => value))].sort(byCaution)
  return { value: values[0] ?? null, contested: values.length > 1 ? values : [] }
}

/** Of claims that differ in nothing but their arrival only the newest can stand or overrule. */
function newestOfEach(claims: readonly Claim[]): Claim[] {
  if (claims.length <= 1) return [...claims]
  const newest = new Map<string, Claim>()
  for (const claim of claims) {
    const { value, rank, replaces, replaceable } = claim
    const key = `${rank} ${replaceable} ${replaces.length > 0 ? JSON.stringify(replaces) : ''} ${value}`
    const known = newest.get(key)
    if (!known || known.at < claim.at) newest.set(key, claim)
  }
  return [...newest.values()]
}

function overrules(claim: Claim, other: Claim): boolean {
  if (Math.abs(claim.at - other.at) > REDELIVERY_SPAN_MS) return claim.at > other.at
  if (claim.rank !== other.rank) return claim.rank > other.rank
  return claim.value !== other.value && other.replaceable && claim.replaces.includes(other.value)
}

/** @returns the most cautious of these values; null where there is none */
export function mostCautious(values: readonly (string | null)[]): string | null {
  return values.filter((value) => value !== null).sort(byCaution)[0] ?? null
}

function byCaution(a: string, b: string): number {
  return CAUTION.indexOf(a) - CAUTION.indexOf(b) || (a < b ? -1 : 1)
}
