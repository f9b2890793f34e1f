/**
 * Runs work on many items at once. Items that are added in the same turn of the event loop start together if fewer than
 * `concurrency` runs are under way; otherwise they wait until a run ends. So an idle process answers without delay, and
 * a busy one makes large batches.
 */
export type Batcher<Item, Result> = {
  /** Rejects with `full()` if `maxWaiting` items wait already. */
  add(item: Item): Promise<Result>
}

export type BatcherOptions<Item, Result> = {
  /** Returns a result for each item, in order. If it throws, all of the items fail. */
  run(items: Item[]): Promise<PromiseSettledResult<Result>[]>
  maxItems: number
  /** The items of a run weigh no more than this together. A heavier item runs alone. */
  maxWeight?: number
  weigh?(item: Item): number
  /** The most runs under way at once; a function is asked before each run. */
  concurrency: number | (() => number)
  /**
   * The shortest time from the start of a run to that of the next one, unless `maxItems` wait. Without it, a steady
   * trickle of items makes runs of one item, which cost as much as runs of many. The first item after a pause starts at
   * once all the same.
   */
  spacingMs?: number
  /**
   * An item without a result after this time is rejected with `late()`, at most 50 ms later. If its run has not begun,
   * it is dropped; otherwise its work may still be done.
   */
  deadlineMs?: number
  late?(): Error
  maxWaiting?: number
  full?(): Error
}

type Waiting<Item, Result> = {
  readonly item: Item
  readonly addedAt: number
  isLate: boolean
  resolve(result: Result): void
  reject(error: unknown): void
}

const CHECK_EVERY_MS = 50

export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const { maxItems, maxWeight = Number.POSITIVE_INFINITY, weigh = () => 0, spacingMs = 0 } = options
  const { concurrency } = options
  const maxRuns = typeof concurrency === 'number' ? () => concurrency : concurrency
  let queue: Waiting<Item, Result>[] = []
  const running = new Set<readonly Waiting<Item, Result>[]>()
  let scheduled = false
  let lastStart = Number.NEGATIVE_INFINITY
  let isCheckPlanned = false

  function schedule(): void {
    if (scheduled || running.size >= maxRuns() || queue.length === 0) return
    scheduled = true
    const waitMs = queue.length >= maxItems ? 0 : lastStart + spacingMs - performance.now()
    if (waitMs > 0) setTimeout(start, waitMs)
    else setImmediate(start)
  }

  function start(): void {
    scheduled = false
    const batch = nextBatch()
    if (batch.length === 0) return
    lastStart = performance.now()
    void flush(batch)
  }

  function nextBatch(): Waiting<Item, Result>[] {
    let count = 0
    for (let weight = 0; count < Math.min(queue.length, maxItems); count++) {
      weight += weigh((queue[count] as Waiting<Item, Result>).item)
      if (count > 0 && weight > maxWeight) break
    }
    const batch = queue.slice(0, count)
    queue = queue.slice(count)
    return batch
  }

  async function flush(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    running.add(batch)
    schedule()
    try {
      const results = await options.run(batch.map((waiting) => waiting.item))
      batch.forEach((waiting, index) => {
        const result = results[index]
        if (result?.status === 'fulfilled') waiting.resolve(result.value)
        else waiting.reject(result?.reason)
      })
    } catch (error) {
      for (const waiting of batch) waiting.reject(error)
    } finally {
      running.delete(batch)
      schedule()
    }
  }

  /** One timer for all items: one for each item would cost as much as the rest of the batcher. */
  function checkSoon(): void {
    if (isCheckPlanned || options.deadlineMs === undefined) return
    isCheckPlanned = true
    setTimeout(rejectLate, CHECK_EVERY_MS).unref()
  }

  function rejectLate(): void {
    isCheckPlanned = false
    const limit = performance.now() - (options.deadlineMs ?? Number.POSITIVE_INFINITY)
    const late = [...queue, ...[...running].flat()].filter(
      ({ addedAt, isLate }) => addedAt <= limit && !isLate,
    )
    if (late.length > 0) {
      const error = options.late?.() ?? new Error(`no result within ${options.deadlineMs} ms`)
      for (const waiting of late) {
        waiting.isLate = true
        waiting.reject(error)
      }
      queue = queue.filter(({ isLate }) => !isLate)
    }
    if (queue.length + running.size > 0) checkSoon()
  }

  return {
    add(item) {
      if (queue.length >= (options.maxWaiting ?? Number.POSITIVE_INFINITY)) {
        return Promise.reject(options.full?.() ?? new Error('too many items wait'))
      }
      const { promise, resolve, reject } = Promise.withResolvers<Result>()
      queue.push({ item, addedAt: performance.now(), isLate: false, resolve, reject })
      schedule()
      checkSoon()
      return promise
    },
  }
}
