import { getTableColumns } from 'drizzle-orm'
import type { Journey } from '../journey/fold.ts'
import { journeys } from './schema.ts'

const {
  environment: _,
  journeyId: __,
  digest,
  base: ___,
  baseUntil: ____,
  updatedAt: _____,
  ...folded
} = getTableColumns(journeys)
type Folded = typeof folded

export type JourneyColumn = {
  readonly field: keyof Journey
  readonly name: string
  readonly type: 'text' | 'integer' | 'bigint' | 'time'
}

/** The columns that hold the fold of a journey's events, each by the name of its field in `Journey`. */
export const JOURNEY_COLUMNS = (
  Object.keys(folded satisfies Record<keyof Journey, unknown>) as (keyof Folded)[]
).map((field): JourneyColumn => {
  const { name } = folded[field]
  const type = folded[field].getSQLType()
  return { field, name, type: type.startsWith('timestamp') ? 'time' : (type as JourneyColumn['type']) }
})

/** The column of the digest. */
export const DIGEST = digest.name

/** The columns of the fold under their own names, as `pg` reads them. */
export type JourneyColumnValues = {
  [Field in keyof Folded as Folded[Field]['_']['name']]: (typeof journeys.$inferSelect)[Field]
}
