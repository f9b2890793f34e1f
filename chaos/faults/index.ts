import { UserError } from '@sluice/shared/runtime'
import { bothFaults } from './both.ts'
import { clusterFaults } from './cluster.ts'
import { failoverFaults } from './failover.ts'
import { failpointFaults } from './failpoints.ts'
import type { Fault } from './fault.ts'
import { fullDiskFaults } from './full-disk.ts'
import { networkFaults } from './network.ts'
import { poolerFaults } from './pooler.ts'
import { postgresFaults } from './postgres.ts'
import { powerCut } from './power-cut.ts'
import { pressureFaults } from './pressure.ts'
import { processFaults } from './processes.ts'
import { redisFaults } from './redis.ts'
import { rolloutFaults } from './rollouts.ts'

export type { Fault } from './fault.ts'

export const FAULTS: readonly Fault[] = [
  ...redisFaults,
  powerCut,
  ...failoverFaults,
  ...clusterFaults,
  ...postgresFaults,
  ...poolerFaults,
  ...fullDiskFaults,
  ...bothFaults,
  ...processFaults,
  ...failpointFaults,
  ...networkFaults,
  ...pressureFaults,
  ...rolloutFaults,
]

/**
 * `F01` means `F01` and its variants, such as `F01-5s`. Upper and lower case are the same.
 *
 * @throws UserError if an id has no fault
 */
export function findFaults(ids: readonly string[]): Fault[] {
  const unknown = ids.filter((id) => !FAULTS.some((fault) => matches(fault, id)))
  if (unknown.length > 0) {
    throw new UserError(
      `No fault is called ${unknown.join(', ')}. There are ${FAULTS.map(({ id }) => id).join(', ')}.`,
    )
  }
  return FAULTS.filter((fault) => ids.some((id) => matches(fault, id)))
}

function matches({ id }: Fault, wanted: string): boolean {
  return `${id}-`.toLowerCase().startsWith(`${wanted.trim()}-`.toLowerCase())
}
