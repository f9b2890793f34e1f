import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type BatcherOptions, createBatcher } from '../src/runtime/index.ts'

function open(options: Partial<BatcherOptions<number, number>> = {}) {
  const runs: number[][] = []
  const batcher = createBatcher<number, number>({
    maxItems: 3,
    concurrency: 1,
    async run(items) {
      runs.push(items)
      await pause(5)
      return items.map((item) => ({ status: 'fulfilled', value: item * 2 }))
    },
    ...options,
  })
  return { runs, add: (...items: number[]) => Promise.allSettled(items.map(batcher.add)) }
}

describe('a batcher', () => {
  it('gives each item its own result, in runs of at most so many', async () => {
    const { runs, add } = open()
    const results = await add(1, 2, 3, 4, 5, 6, 7)
    expect(results.map((result) => result.status === 'fulfilled' && result.value)).toEqual([
      2, 4, 6, 8, 10, 12, 14,
    ])
    expect(runs).toEqual([[1, 2, 3], [4, 5, 6], [7]])
  })

  it('keeps a run below its weight, unless one item alone is heavier', async () => {
    const { runs, add } = open({ maxWeight: 10, weigh: (item) => item })
    await add(50, 4, 6, 1)
    expect(runs).toEqual([[50], [4, 6], [1]])
  })

  it('lets items gather for a moment after a run has begun, and starts at once after a pause', async () => {
    const { runs, add } = open({ spacingMs: 60, concurrency: 4 })
    const first = add(1)
    await pause(10)
    const rest = Promise.all([add(2), pause(10).then(() => add(3))])
    await Promise.all([first, rest])
    expect(runs).toEqual([[1], [2, 3]])
  })

  it('fails the items of a run that throws, and goes on with the others', async () => {
    const { add } = open({
      run: async (items) => {
        if (items.includes(2)) throw new Error('no')
        return items.map((value) => ({ status: 'fulfilled', value }))
      },
    })
    const results = await add(1, 2, 3, 4)
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'fulfilled'])
  })

  it('gives up what has no result in time, whether it has begun or not, and forgets what has not', async () => {
    const begun: number[] = []
    const { add } = open({
      deadlineMs: 100,
      late: () => new Error('too late'),
      run: async (items) => {
        begun.push(...items)
        await pause(400)
        return items.map((value) => ({ status: 'fulfilled', value }))
      },
    })
    const results = await add(1, 2, 3, 4)
    expect(results.map((result) => result.status === 'rejected' && result.reason.message)).toEqual(
      Array(4).fill('too late'),
    )
    await pause(400)
    expect(begun).toEqual([1, 2, 3])
  })

  it('takes no more than may wait', async () => {
    const { add } = open({ maxWaiting: 2, full: () => new Error('full') })
    const results = await add(1, 2, 3)
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  })
})
