import { eventually } from '@sluice/testkit/world'
import { describe, expect, it } from 'vitest'
import { type CircuitPolicy, createCircuit } from '../src/runtime/index.ts'

const HOUR_MS = 3_600_000

function open(policy: Partial<CircuitPolicy> = {}) {
  const changes: unknown[] = []
  const circuit = createCircuit({
    maxFailures: 3,
    openMs: () => HOUR_MS,
    onOpen: (error) => changes.push(error),
    onClose: () => changes.push('closed'),
    ...policy,
  })
  return { circuit, changes }
}

describe('a circuit whose calls are its trials', () => {
  it('opens when so many events fail in a row, and allows no call then', () => {
    const { circuit, changes } = open()
    circuit.failed('one', 2)
    circuit.succeeded()
    expect(circuit.failed('two', 2)).toBe(2)
    expect([circuit.state, circuit.allows()]).toEqual(['closed', true])
    expect(circuit.failed('three')).toBe(3)
    expect([circuit.state, circuit.allows()]).toEqual(['open', false])
    expect(changes).toEqual(['three'])
  })

  it('forgets failures that are too long ago', () => {
    const { circuit } = open({ withinMs: 0 })
    for (let i = 0; i < 5; i++) expect(circuit.failed('x')).toBe(1)
    expect(circuit.state).toBe('closed')
  })

  it('is half-open after a while: one trial at a time, and closed after enough of them', () => {
    const { circuit, changes } = open({ openMs: () => 0, successesToClose: 2 })
    circuit.trip('away')
    expect(circuit.state).toBe('half-open')
    expect([circuit.allows(), circuit.allows()]).toEqual([true, false])
    circuit.succeeded()
    expect([circuit.allows(), circuit.allows()]).toEqual([true, false])
    expect(changes).toEqual(['away'])
    circuit.succeeded()
    expect([circuit.allows(), circuit.allows()]).toEqual([true, true])
    expect([circuit.state, changes]).toEqual(['closed', ['away', 'closed']])
  })

  it('opens again when a trial fails, and reports no second opening', () => {
    const waits = [0, HOUR_MS]
    const { circuit, changes } = open({ openMs: (trials) => waits[trials] as number, successesToClose: 2 })
    circuit.trip('away')
    circuit.allows()
    circuit.failed('still away')
    expect([circuit.state, circuit.allows()]).toEqual(['open', false])
    expect(changes).toEqual(['away'])
  })
})

describe('a circuit with a probe', () => {
  it('closes when the probe succeeds, and then those who wait go on', async () => {
    const outcomes = ['fails', 'fails', 'succeeds']
    const asked: number[] = []
    const { circuit, changes } = open({
      openMs(trials) {
        asked.push(trials)
        return 1
      },
      probe: async () => {
        if (outcomes.shift() === 'fails') throw new Error('away')
      },
    })
    circuit.trip('away')
    await circuit.whenClosed(new AbortController().signal)
    expect(changes).toEqual(['away', 'closed'])
    expect([circuit.state, asked]).toEqual(['closed', [0, 1, 2]])
  })

  it('is closed by nothing else, and ends its waits when it is disposed', async () => {
    const { circuit, changes } = open({ probe: async () => {} })
    circuit.trip('away')
    circuit.succeeded()
    circuit.trip('again')
    expect([circuit.allows(), circuit.state]).toEqual([false, 'open'])
    const waiting = circuit.whenClosed(new AbortController().signal)
    await circuit[Symbol.asyncDispose]()
    await waiting
    expect(changes).toEqual(['away'])
  })

  it('asks the probe before it opens, if a failure may be that of an event', async () => {
    let isAway = false
    let probes = 0
    const { circuit, changes } = open({
      maxFailures: 1,
      isDoubtful: (error) => error === 'doubtful',
      probe: async () => {
        probes++
        if (isAway) throw new Error('away')
      },
    })
    circuit.failed('doubtful')
    await eventually(() => probes === 1)
    expect(circuit.state).toBe('closed')
    isAway = true
    circuit.failed('doubtful')
    await eventually(() => circuit.state === 'open')
    expect(changes).toEqual(['doubtful'])
    await circuit[Symbol.asyncDispose]()
  })
})
