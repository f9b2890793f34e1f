import { describe, expect, it } from 'vitest'
import { FAULTS } from '../faults/index.ts'
import { fault, LOAD, problems } from './problems.ts'

describe('under faults, Sluice', () => {
  it.each([
    ['F01', 1, 'loses nothing while Redis is killed'],
    ['F20', 3, 'loses nothing while Postgres is killed'],
    ['F32', 1, 'refuses what it cannot keep while both stores are away'],
    ['F34', 2, 'loses nothing while its workers are killed'],
  ])(
    '%s, seed %i: %s',
    async (id, seed) => {
      expect(await problems(fault(id), { ...LOAD, seed })).toEqual([])
    },
    120_000,
  )
})

it('every fault has its own id and counts that show its effect', () => {
  expect(new Set(FAULTS.map(({ id }) => id)).size).toBe(FAULTS.length)
  expect(FAULTS.filter(({ effect }) => Object.keys(effect).length === 0)).toEqual([])
})
