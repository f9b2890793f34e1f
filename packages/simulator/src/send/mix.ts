import { UserError } from '@sluice/shared/runtime'

/** How a journey goes, as weights. `test` is a test request of the portal, without a journey. */
const OUTCOMES = [
  'approved',
  'reviewed',
  'resubmitted',
  'renewed',
  'monitored',
  'spot-checked',
  'abandoned',
  'test',
] as const
/** What may be unusual about a journey: shares of all journeys, 0 to 1. */
const PECULIARITIES = [
  'unknown-events',
  'unknown-decisions',
  'extra-fields',
  'null-references',
  'old-shapes',
  'misspelt',
] as const
/** What may go wrong with an event on its way: shares of all events, 0 to 1. */
const DISTURBANCES = ['duplicates', 'late', 'aborted', 'slow', 'reordered'] as const

export type Outcome = (typeof OUTCOMES)[number]
type Ingredient = Outcome | (typeof PECULIARITIES)[number] | (typeof DISTURBANCES)[number]
export type Mix = Readonly<Record<Ingredient, number>>

const INGREDIENTS: readonly Ingredient[] = [...OUTCOMES, ...PECULIARITIES, ...DISTURBANCES]

/** Only today's events, and nothing goes wrong. */
const plain: Mix = {
  approved: 0.52,
  reviewed: 0.16,
  resubmitted: 0.06,
  renewed: 0.06,
  monitored: 0.07,
  'spot-checked': 0.05,
  abandoned: 0.08,
  test: 0,
  'unknown-events': 0,
  'unknown-decisions': 0,
  'extra-fields': 0,
  'null-references': 0,
  'old-shapes': 0,
  misspelt: 0,
  duplicates: 0,
  late: 0,
  aborted: 0,
  slow: 0,
  reordered: 0,
}

const all: Mix = {
  ...plain,
  test: 0.03,
  'unknown-events': 0.02,
  'unknown-decisions': 0.02,
  'extra-fields': 0.08,
  'null-references': 0.05,
  'old-shapes': 0.12,
  misspelt: 0.1,
  duplicates: 0.03,
  late: 0.02,
  aborted: 0.02,
  slow: 0.01,
  reordered: 0.03,
}

const NAMED = { plain, all } as const

/**
 * Reads a mix: `plain`, `all`, or either with shares that replace its own, such as `plain,late=0.1,test=0.02`.
 * Shares without a name change `plain`.
 *
 * @throws UserError that names every problem
 */
export function parseMix(text: string): Mix {
  const words = text.split(',').map((word) => word.trim())
  const named = NAMED[words[0] as keyof typeof NAMED]
  const mix: Record<Ingredient, number> = { ...(named ?? plain) }
  const problems: string[] = []
  for (const word of named ? words.slice(1) : words) {
    const [name = '', share = '', ...rest] = word.split('=')
    const number = share.trim() === '' ? Number.NaN : Number(share)
    if (!INGREDIENTS.includes(name as Ingredient)) problems.push(`"${word}" names nothing that can be mixed`)
    else if (rest.length > 0 || !(number >= 0 && number <= 1))
      problems.push(`"${word}" needs a share from 0 to 1`)
    else mix[name as Ingredient] = number
  }
  if (OUTCOMES.every((name) => mix[name] === 0)) problems.push('every kind of journey has the share 0')
  if (problems.length === 0) return mix
  throw new UserError(
    `The mix cannot be read: ${problems.join('; ')}. Write plain or all, then name=share with any of ${INGREDIENTS.join(', ')}.`,
  )
}
