import { alphabetical } from './attention.ts'
import { surelyAfter } from './event.ts'
import { createNewest, type Newest, newestOf } from './newest.ts'

/** A value that an event states, with what is known of the event's place among the others. */
export type Claim = {
  readonly value: string
  /** Natural order of the event's type; a higher one comes later. */
  readonly rank: number
  /** Arrival, ms since 1970. */
  readonly lastAt: number
  /** It is one of the updates, which name the values whose place they have taken. */
  readonly replaces: boolean
  /** An update has taken the place of this value, and nothing else can have brought it back. */
  readonly isReplaced: boolean
}

/** From the most to the least cautious. A value that nobody knows comes before all of them. */
const CAUTION = ['Rejected', 'Refer', 'Resubmission Requested', 'Incomplete', 'Complete', 'Approved']

/**
 * The value that no other claim supersedes. Of two claims the one that came surely later supersedes the other; closer
 * together the one of higher rank does; and of equal rank one that replaces supersedes another value that is replaced.
 *
 * @returns where several stand, which cannot be put in order, the most cautious one, and all of them as `contested`;
 * null where nothing is claimed
 */
export function standing(claims: readonly Claim[]): { value: string | null; contested: string[] } {
  if (claims.length <= 1) return { value: claims[0]?.value ?? null, contested: [] }
  const isOverruled = createOverruled(claims)
  const unruled = claims.filter((claim) => !isOverruled(claim))
  // Three claims can overrule each other in a circle, by stage, stage and time; then the highest stage stands.
  const top = claims.reduce((top, { rank }) => Math.max(top, rank), 0)
  const last = unruled.length > 0 ? unruled : claims.filter(({ rank }) => rank === top)
  const values = byCaution(last.map(({ value }) => value))
  return { value: values[0] ?? null, contested: values.length > 1 ? values : [] }
}

/** The newest claims of one rank: of all, and of those that replace. */
type Stage = { readonly rank: number; newest: Claim; readonly replacing: Newest<Claim> }

/**
 * Whether any claim supersedes one, by the newest claims alone. The newest of all tells whether one came surely later.
 * When none did, a claim is too close when it did not come surely before; and when one of several did not, the newest
 * of them did not.
 */
function createOverruled(claims: readonly Claim[]): (claim: Claim) => boolean {
  const newest = newestOf(claims) as Claim
  const stages = stagesOf(claims)
  return (claim) =>
    surelyAfter(newest, claim) ||
    stages.some((stage) => {
      if (stage.rank > claim.rank) return !surelyAfter(claim, stage.newest)
      const other = stage.rank === claim.rank && claim.isReplaced && stage.replacing.otherThan(claim.value)
      return other && !surelyAfter(claim, other)
    })
}

/** There are only a few ranks. */
function stagesOf(claims: readonly Claim[]): Stage[] {
  const stages: Stage[] = []
  for (const claim of claims) {
    let stage = stages.find(({ rank }) => rank === claim.rank)
    if (!stage) {
      stage = { rank: claim.rank, newest: claim, replacing: createNewest(({ value }) => value) }
      stages.push(stage)
    }
    if (claim.lastAt > stage.newest.lastAt) stage.newest = claim
    if (claim.replaces) stage.replacing.add(claim)
  }
  return stages
}

/** @returns the most cautious of these values; null where there is none */
export function mostCautious(values: readonly (string | null)[]): string | null {
  return byCaution(values.filter((value) => value !== null))[0] ?? null
}

/** Each of these values once, the most cautious one first. */
function byCaution(values: readonly string[]): string[] {
  const [first] = values
  if (first === undefined || values.every((value) => value === first)) return values.slice(0, 1)
  const unknown = values.filter((value) => !CAUTION.includes(value))
  return [...alphabetical(unknown), ...CAUTION.filter((value) => values.includes(value))]
}
