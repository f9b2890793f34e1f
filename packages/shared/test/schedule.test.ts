import { expect, it } from 'vitest'
import { ANONYMOUS_WINDOW_MS } from '../src/idwise/identity.ts'
import { nextTries, REDELIVERY_SPAN_MS, SURE_SPAN_MS } from '../src/idwise/schedule.ts'
import { JOB_OPTIONS } from '../src/queue/bullmq/options.ts'

it('an event can be redelivered for 30 minutes, and is recognised for an hour by its job and by its body', () => {
  expect(SURE_SPAN_MS).toBe(900_000)
  const minutes = [REDELIVERY_SPAN_MS, ANONYMOUS_WINDOW_MS, JOB_OPTIONS.removeOnComplete.age * 1_000]
  expect(minutes.map((ms) => ms / 60_000)).toEqual([30, 60, 60])
})

it.each([
  ['the first try', 0, [5, 15, 30]],
  ['the second one, a little late', 5.2, [15.2, 30.2]],
  ['the third one, if the second reached nobody', 15, [30]],
  ['the last one', 30, []],
])('a refusal of %s tells when IDWise tries again', (_which, minutes, expected) => {
  const first = Date.UTC(2026, 0, 1)
  const tries = nextTries({ first, last: first + minutes * 60_000 })
  expect(tries.map((at) => (at - first) / 60_000)).toEqual(expected)
})
