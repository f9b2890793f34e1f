import { type Db, type Installation, nameInstallation } from '../../db/index.ts'
import { withDeadline } from '../../runtime/index.ts'

const LIMIT_MS = 1_000

/**
 * Asks once which installation this is, and knows it from then on: also while Postgres is away. Undefined if Postgres
 * has not answered yet.
 */
export type KnowInstallation = () => Promise<Installation | undefined>

export function knowInstallation({ pool }: Pick<Db, 'pool'>): KnowInstallation {
  let known: Installation | undefined
  return async () => {
    known ??= await withDeadline(nameInstallation(pool), LIMIT_MS, 'reading the installation').catch(
      () => undefined,
    )
    return known
  }
}
