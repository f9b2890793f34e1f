import { type Db, type Installation, nameInstallation } from '../../db/index.ts'
import { withDeadline } from '../../runtime/index.ts'

const LIMIT_MS = 1_000

/**
 * Asks which installation this is until Postgres has told it, and knows it from then on: also while Postgres is away.
 * Undefined if it has not told it yet.
 */
export type KnowInstallation = () => Promise<Installation | undefined>

export function knowInstallation({ pool }: Pick<Db, 'pool'>): KnowInstallation {
  let known: Installation | undefined
  let asking: Promise<Installation> | undefined
  return async () => {
    if (known) return known
    // One question at a time, also while Postgres answers none.
    asking ??= nameInstallation(pool).finally(() => {
      asking = undefined
    })
    known = await withDeadline(asking, LIMIT_MS, 'reading the installation').catch(() => undefined)
    return known
  }
}
