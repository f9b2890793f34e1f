import { eventually } from '@sluice/testkit/world'
import { describe, expect, it } from 'vitest'
import { every, pause } from '../src/runtime/index.ts'

const onError = (error: unknown) => {
  throw error
}

describe('work that is done every few ms', () => {
  it('starts at once, never runs twice at the same time, and is waited for when it is stopped', async () => {
    let running = 0
    let most = 0
    let ended = 0
    const loop = every(
      1,
      async () => {
        most = Math.max(most, ++running)
        await pause(20)
        running--
        ended++
      },
      { onError },
    )
    expect(running).toBe(1)
    await eventually(() => ended >= 2 && running === 1)
    const before = ended
    await loop[Symbol.asyncDispose]()
    expect([most, running, ended]).toEqual([1, 0, before + 1])
  })

  it('waits before the first round if it should, and that wait ends when it is stopped', async () => {
    let rounds = 0
    const soon = every(1, () => rounds++, { onError, pauseFirst: true })
    expect(rounds).toBe(0)
    await eventually(() => rounds > 0)
    await soon[Symbol.asyncDispose]()

    const late = every(3_600_000, () => rounds++, { onError, pauseFirst: true })
    const before = rounds
    await late[Symbol.asyncDispose]()
    expect(rounds).toBe(before)
  })

  it('goes on after an error, which is reported', async () => {
    const reported: unknown[] = []
    let rounds = 0
    const fail = () => {
      throw `error ${++rounds}`
    }
    await using _loop = every(1, fail, { onError: (error) => reported.push(error) })
    await eventually(() => reported.length >= 2)
    expect(reported.slice(0, 2)).toEqual(['error 1', 'error 2'])
  })

  it('asks how long it should wait after each round', async () => {
    const waits = [1, 1, 3_600_000]
    let rounds = 0
    await using _loop = every(
      () => waits[rounds - 1] as number,
      () => rounds++,
      { onError },
    )
    await eventually(() => rounds === 3)
  })

  it('ends with the signal of its caller, which a round may abort, and reports the end to the round', async () => {
    const stop = new AbortController()
    let seen: AbortSignal | undefined
    let rounds = 0
    const loop = every(
      1,
      (signal) => {
        seen = signal
        if (++rounds === 3) stop.abort()
      },
      { onError, signal: stop.signal },
    )
    await eventually(() => seen?.aborted)
    await loop[Symbol.asyncDispose]()
    expect(rounds).toBe(3)
  })
})
