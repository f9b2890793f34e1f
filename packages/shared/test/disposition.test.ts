import { describe, expect, it } from 'vitest'
import { classifyFailure } from '../src/db/index.ts'
import {
  ATTEMPTS,
  type Disposition,
  dispositionOf,
  type FailedEvent,
  MAX_CRASHES,
} from '../src/disposition.ts'

const WAIT: Disposition = { kind: 'wait' }
const RETRY: Disposition = { kind: 'retry' }
const bury = (reason: string) => ({ kind: 'bury', reason })
const [last, lands, fails] = [{ attempts: ATTEMPTS }, { probe: 'lands' }, { probe: 'fails' }] as const

describe('what becomes of an event that fails alone', () => {
  it.each<[string, FailedEvent, object]>([
    ['waits if the server fails', { cause: 'infrastructure' }, WAIT],
    ['waits if the server fails, at its last attempt too', { cause: 'infrastructure', ...last }, WAIT],
    ['waits if others are in its way at this moment', { cause: 'passing', ...last, ...lands }, WAIT],
    ['waits if it was not tried', { cause: 'not_tried', ...last }, WAIT],
    ['waits if Postgres refuses a probe event too', { cause: 'event', ...last, ...fails }, WAIT],
    [
      'waits if a probe event fails too, at its last attempt too',
      { cause: 'unknown', ...last, ...fails },
      WAIT,
    ],
    [
      'is buried at once if Postgres refuses it and a probe event lands',
      { cause: 'event', ...lands },
      bury('rejected_by_database'),
    ],
    ['is tried again if nobody knows why it fails', { cause: 'unknown', ...lands }, RETRY],
    [
      'is tried again until the attempt before the last one',
      { cause: 'unknown', attempts: ATTEMPTS - 1, ...lands },
      RETRY,
    ],
    [
      'is buried after its last attempt if a probe event lands',
      { cause: 'unknown', ...last, ...lands },
      bury('attempts_exhausted'),
    ],
    ['is buried if it carries no envelope', { cause: 'unreadable' }, bury('unreadable')],
    ['is tried again after its last allowed crash', { cause: 'crash', crashes: MAX_CRASHES }, RETRY],
    [
      'is buried after one crash more than allowed',
      { cause: 'crash', crashes: MAX_CRASHES + 1 },
      bury('worker_crashed'),
    ],
  ])('it %s', (_, failed, disposition) => {
    expect(dispositionOf(failed)).toEqual(disposition)
  })
})

describe('what a failed statement is about', () => {
  it.each(
    [
      ['23514', '23502', '22P02', '22P05', '21000', '54000', '0A000', 'P0001'].map((code) => [code, 'event']),
      ['57014', 'XX000', 'XX001', '42501', '42703', '23503', 'nonsense'].map((code) => [code, 'unknown']),
      ['55P03', '40001', '40P01', '26000', '42P05'].map((code) => [code, 'passing']),
      ['08P01', '57P01', '53300', '25006', '3D000', '28P01', '42P10', 'ECONNRESET'].map((code) => [
        code,
        'infrastructure',
      ]),
    ].flat(),
  )('code %s says: %s', (code, failure) => {
    expect(classifyFailure(Object.assign(new Error('refused'), { code }))).toBe(failure)
  })

  it('a plan that has become stale says: passing', () => {
    const stale = { code: '0A000', routine: 'RevalidateCachedQuery' }
    expect(classifyFailure(Object.assign(new Error('refused'), stale))).toBe('passing')
  })

  it('a partition that is missing says: infrastructure', () => {
    const missing = { code: '23514', routine: 'ExecFindPartition' }
    expect(classifyFailure(Object.assign(new Error('refused'), missing))).toBe('infrastructure')
  })
})
