import { ok } from '@sluice/shared/runtime'
import { describe, expect, it } from 'vitest'
import { createClock } from '../src/clock.ts'

/** A machine with this wall clock and a monotonic clock that starts at 500. */
function machine(wall: number) {
  const at = { wall, monotonic: 500 }
  const clock = createClock({ wall: () => at.wall, monotonic: () => at.monotonic })
  const adjust = (skewMs?: number) =>
    clock.adjust([
      ok('Postgres', 'primary'),
      { ...ok('Postgres', 'clock'), ...(skewMs !== undefined && { skewMs }) },
    ])
  const passes = (ms: number) => {
    at.wall += ms
    at.monotonic += ms
  }
  return { at, clock, adjust, passes }
}

describe("the ingest's clock", () => {
  it("is the machine's until a check finds it wrong by 2 s, and again when it is right", () => {
    const { clock, adjust, passes } = machine(10_000)
    expect(clock.now()).toBe(10_000)
    adjust(-1_999)
    expect(clock.now()).toBe(10_000)
    adjust(3_000)
    passes(100)
    expect(clock.now()).toBe(13_100)
    adjust(1_000)
    expect(clock.now()).toBe(10_100)
  })

  it("goes on from the last check when the machine's is set, and while Postgres is away", () => {
    const { at, clock, adjust, passes } = machine(10_000)
    adjust(-7_000)
    at.wall -= 7_000
    passes(50)
    adjust()
    expect(clock.now()).toBe(3_050)
  })
})
