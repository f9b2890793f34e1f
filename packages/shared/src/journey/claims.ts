import { alphabetical } from './attention.ts'
import { surelyAfter } from './event-rules.ts'
import { createNewest, type Newest, newestOf } from './newest.ts'

/** A value that an event states, with the event's place among the others. */
export type Claim = {
  readonly value: string
  /** A higher one comes later. */
  readonly precedence: number
  /** When its event was last received, ms since 1970. */
  readonly lastAt: number
  /** Its event is an update that names the value it replaced. */
  readonly replaces: boolean
  /** An update has replaced this value, and nothing else can have brought it back. */
  readonly isReplaced: boolean
}

/** From the most to the least cautious. An unknown value comes before all of them. */
const CAUTION = ['Rejected', 'Refer', 'Resubmission Requested', 'Incomplete', 'Complete', 'Approved']

/**
 * Finds the value that no other claim supersedes. Of two claims, the one that came surely later supersedes the other.
 * If they are closer in time, the one of higher precedence does. If their precedence is equal, a claim that replaces
 * supersedes a claim of another value that is replaced.
 *
 * @returns the most cautious value, if several are left, and all of them as `contested`; null if there are no claims
 */
export function resolveClaims(claims: readonly Claim[]): { value: string | null; contested: string[] } {
  if (claims.length <= 1) return { value: claims[0]?.value ?? null, contested: [] }
  const isSuperseded = createSuperseded(claims)
  const current = claims.filter((claim) => !isSuperseded(claim))
  // Three claims can supersede each other in a circle, by precedence, precedence and time. Then the highest precedence
  // wins.
  const highest = claims.reduce((highest, { precedence }) => Math.max(highest, precedence), 0)
  const left = current.length > 0 ? current : claims.filter(({ precedence }) => precedence === highest)
  const values = byCaution(left.map(({ value }) => value))
  return { value: values[0] ?? null, contested: values.length > 1 ? values : [] }
}

/** The newest claims of one precedence: of all, and of those that replace. */
type Level = { readonly precedence: number; newest: Claim; readonly replacing: Newest<Claim> }

/**
 * Whether any claim supersedes a given one. The newest claims are enough to know: if the newest of all did not come
 * surely later, none did; and if one of a level is too close or later, the newest of that level is.
 */
function createSuperseded(claims: readonly Claim[]): (claim: Claim) => boolean {
  const newest = newestOf(claims) as Claim
  const levels = levelsOf(claims)
  return (claim) =>
    surelyAfter(newest, claim) ||
    levels.some((level) => {
      if (level.precedence > claim.precedence) return !surelyAfter(claim, level.newest)
      const isSameLevel = level.precedence === claim.precedence
      const other = isSameLevel && claim.isReplaced && level.replacing.otherThan(claim.value)
      return other && !surelyAfter(claim, other)
    })
}

function levelsOf(claims: readonly Claim[]): Level[] {
  const levels: Level[] = []
  for (const claim of claims) {
    // There are only a few.
    let level = levels.find(({ precedence }) => precedence === claim.precedence)
    if (!level) {
      level = { precedence: claim.precedence, newest: claim, replacing: createNewest(({ value }) => value) }
      levels.push(level)
    }
    if (claim.lastAt > level.newest.lastAt) level.newest = claim
    if (claim.replaces) level.replacing.add(claim)
  }
  return levels
}

/** @returns the most cautious of these values; null if there is none */
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
