import { parseEvent } from '@sluice/shared/idwise'
import { describe, expect, it } from 'vitest'
import { readDigest, writeDigest } from '../src/journey/digest.ts'

const saying = (fields: Record<string, unknown>, count = 1) => {
  const { kind, event, referenceNo, systemDecision, manualDecision, finalDecision, finalWithoutManual } =
    parseEvent(
      JSON.stringify({ event: 'Finished Journey', body: { eventId: 'e', journeyId: 'j', ...fields } }),
    )
  const decisions = { systemDecision, manualDecision, finalDecision, finalWithoutManual }
  const others = { action: null, trigger: 'KYC Renewal', previousSystemDecision: null, amlVersion: 3 }
  const times = { firstAt: 1_000, lastAt: 2_000, count }
  return { kind, event, referenceNo, ...decisions, ...others, conflict: false, ...times }
}

describe('what a row tells of its events', () => {
  const told = [saying({ systemDecision: 'Complete', referenceNo: 'a "b" \\ ä€😀' }), saying({}, 4)]

  it('is read as it was written', () => {
    expect(readDigest({ told: writeDigest(told), events: 5 })).toEqual(told)
  })

  it('is not believed where the row counts other events than it tells of', () => {
    expect(readDigest({ told: writeDigest(told), events: 6 })).toBeUndefined()
  })

  it('is not kept where it is long', () => {
    expect(writeDigest(Array(30).fill(told[0]))).toBeNull()
  })

  it.each([null, '', '{', 'null', '5', '[]', '[2]', '[1,null]', '[1,[]]', '[1,"x"]'])(
    'is not read from %s',
    (text) => {
      expect(readDigest({ told: text, events: 5 })).toBeUndefined()
    },
  )
})
