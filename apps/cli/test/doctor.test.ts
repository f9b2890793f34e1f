import { expect, it } from 'vitest'
import { closingLine } from '../src/commands/doctor.ts'

it.each([
  ['ok', { failed: 0, warned: 0 }, 'All is well.'],
  ['warn', { failed: 0, warned: 0 }, 'The checks found nothing; the first line says what is not well.'],
  ['fail', { failed: 0, warned: 0 }, 'The checks found nothing; the first line says what is not well.'],
  ['ok', { failed: 0, warned: 1 }, '0 failed, 1 warned.'],
] as const)('below the state %s and the checks %j the doctor ends with: %s', (now, counts, line) => {
  expect(closingLine(now, counts)).toBe(line)
})
