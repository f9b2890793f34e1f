import { describe, expect, it } from 'vitest'
import { readDigest, VERSION, writeDigest } from '../src/journey/digest.ts'
import { FACTS, factsOf, fromLine, toLine } from '../src/journey/event.ts'
import { journeyEvent } from './journey-event.ts'

/** Each fact has another value, so that none can stand in the place of another. */
const distinct = fromLine([
  'finished_journey',
  'Finished Journey',
  'a "b" \\ ä€😀',
  'Complete',
  'Approved',
  'Refer',
  true,
  'Step Update',
  'KYC Renewal',
  'Incomplete',
  3,
  false,
  1_000,
  2_000,
  4,
])

describe("the facts of a journey's event", () => {
  it('are read from a line in the order of their list', () => {
    expect(factsOf(distinct)).toEqual(FACTS.map(({ name }) => distinct[name]))
    expect(toLine(distinct)).toEqual([...factsOf(distinct), 1_000, 2_000, 4])
    expect(Object.keys(distinct)).toHaveLength(FACTS.length + 3)
  })

  it('have the version of the digest that lists them; other facts, or another order, need a new version', () => {
    const names = FACTS.map(({ name }) => name)
    expect({ VERSION, names }).toMatchInlineSnapshot(`
      {
        "VERSION": 1,
        "names": [
          "kind",
          "event",
          "referenceNo",
          "systemDecision",
          "manualDecision",
          "finalDecision",
          "finalWithoutManual",
          "action",
          "trigger",
          "previousSystemDecision",
          "amlVersion",
          "conflict",
        ],
      }
    `)
  })
})

describe('the digest of a journey', () => {
  const events = [distinct, journeyEvent(1_000, { kind: 'finished_journey', amlVersion: 3 })]

  it('is read as it was written', () => {
    expect(readDigest({ digest: writeDigest(events), events: 5 })).toEqual(events)
  })

  it('is not used if its row counts other events', () => {
    expect(readDigest({ digest: writeDigest(events), events: 6 })).toBeUndefined()
  })

  it('is not kept if it is long', () => {
    expect(writeDigest(Array(30).fill(distinct))).toBeNull()
  })

  it.each([null, '', '{', 'null', '5', '[]', '[2]', '[1,null]', '[1,[]]', '[1,"x"]'])(
    'is not read from %s',
    (text) => {
      expect(readDigest({ digest: text, events: 5 })).toBeUndefined()
    },
  )
})
