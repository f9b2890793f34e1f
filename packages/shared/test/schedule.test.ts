import { expect, it } from 'vitest'
import { ANONYMOUS_WINDOW_MS } from '../src/idwise/identity.ts'
import { REDELIVERY_SPAN_MS } from '../src/idwise/schedule.ts'
import { JOB_OPTIONS } from '../src/queue/bullmq/options.ts'

it('an event can be redelivered for 30 minutes, and is recognised for an hour by its job and by its body', () => {
  const minutes = [REDELIVERY_SPAN_MS, ANONYMOUS_WINDOW_MS, JOB_OPTIONS.removeOnComplete.age * 1_000]
  expect(minutes.map((ms) => ms / 60_000)).toEqual([30, 60, 60])
})
