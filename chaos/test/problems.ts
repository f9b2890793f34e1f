import { expect } from 'vitest'
import { type Fault, findFaults } from '../faults/index.ts'
import { type RunOptions, runFault } from '../run.ts'
import { isFailure } from '../table.ts'

export const LOAD = { rate: 60, minutes: 0.05 }

export function fault(id: string): Fault {
  const [found] = findFaults([id])
  if (!found) throw new Error(`no fault ${id}`)
  return found
}

/** Runs a fault. @returns what is wrong */
export async function problems(fault: Fault, options: RunOptions): Promise<readonly string[]> {
  const result = await runFault(fault, options)
  if (result.kind === 'impossible') throw new Error(result.reason)
  expect(isFailure(result)).toBe(result.problems.length > 0)
  return result.problems
}
