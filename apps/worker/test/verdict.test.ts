import { classifyFailure } from '@sluice/shared/db'
import { describe, expect, it } from 'vitest'
import { verdictOf } from '../src/verdict.ts'

const failing = (code: string, more: object = {}) => Object.assign(new Error('refused'), { code, ...more })
const verdict = (code: string, isLastAttempt = false) =>
  verdictOf(classifyFailure(failing(code)), isLastAttempt, 'lands')

describe('what becomes of an event that fails alone', () => {
  it.each(['23514', '22P02', '54000', '0A000', 'P0001', '42703', 'XX000', '57014', '08P01', '55P03'])(
    'with %s: it waits while a made-up one fails as well, even at its last attempt',
    (code) => {
      expect(verdictOf(classifyFailure(failing(code)), true, 'fails')).toEqual({ kind: 'wait' })
    },
  )

  it.each(['23514', '23502', '22P02', '22P05', '21000', '54000', '0A000', 'P0001'])(
    'with %s: it becomes a dead letter at once while others land',
    (code) => {
      expect(verdict(code)).toEqual({ kind: 'bury', reason: 'rejected_by_database' })
    },
  )

  it.each(['57014', 'XX000', 'XX001', '42501', '42703', '23503', 'nonsense'])(
    'with %s: it uses up an attempt while others land, and after the last one it becomes a dead letter',
    (code) => {
      expect(verdict(code)).toEqual({ kind: 'retry' })
      expect(verdict(code, true)).toEqual({ kind: 'bury', reason: 'attempts_exhausted' })
    },
  )

  it.each([
    '55P03',
    '40001',
    '40P01',
    '26000',
    '42P05',
    '08P01',
    '57P01',
    '53300',
    '25006',
    '3D000',
    '28P01',
  ])('with %s: it waits', (code) => {
    expect(verdict(code, true)).toEqual({ kind: 'wait' })
  })

  it('with a plan that has become stale: it waits', () => {
    const stale = failing('0A000', { routine: 'RevalidateCachedQuery' })
    expect(verdictOf(classifyFailure(stale), true, 'lands')).toEqual({ kind: 'wait' })
  })
})
