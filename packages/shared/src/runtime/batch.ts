/**
 * Runs work on many items at once: an item starts with whatever else arrives in the same turn of the event loop, as
 * soon as fewer than `concurrency` runs are under way; otherwise items gather until a run ends. So an idle process
 * answers without delay and a busy one makes large batches.
 */
export type Batcher<Item, Result> = {
  /** Rejects with `full()` where `maxWaiting` items already wait. */
  add(item: Item): Promise<Result>
}

export type BatcherOptions<Item, Result> = {
  /** Gives a result for each item in order, settled one by one; when it throws, each item fails. */
  run(items: Item[]): Promise<PromiseSettledResult<Result>[]>
  maxItems: number
  /** A run's items weigh no more than this together, unless one alone does. */
  maxWeight?: number
  weigh?(item: Item): number
  /** Of runs under way; a function is asked before each. */
  concurrency: number | (() => number)
  /**
   * Runs begin at least so far apart, unless `maxItems` wait: at a steady trickle each would be for one item, and cost
   * as much as one for many. The first item after a pause still starts at once.
   */
  spacingMs?: number
  /**
   * An item without a result after so long, or up to 50 ms longer, is rejected with `late()`. One that has not begun is
   * forgotten; what has begun may still happen.
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

const LOOK_EVERY_MS = 50

export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const { maxItems, maxWeight = Number.POSITIVE_INFINITY, weigh = () => 0, spacingMs = 0 } = options
  const { concurrency } = options
  const most = typeof concurrency === 'number' ? () => concurrency : concurrency
  let queue: Waiting<Item, Result>[] = []
  const running = new Set<readonly Waiting<Item, Result>[]>()
  let scheduled = false
  let lastStart = Number.NEGATIVE_INFINITY
  let looking = false

  function schedule(): void {
    if (scheduled || running.size >= most() || queue.length === 0) return
    scheduled = true
    const waitMs = queue.length >= maxItems ? 0 : lastStart + spacingMs - performance.now()
    if (waitMs > 0) setTimeout(start, waitMs)
    else setImmediate(start)
  }

  function start(): void {
    scheduled = false
    const batch = take()
    if (batch.length === 0) return
    lastStart = performance.now()
    void flush(batch)
  }

  function take(): Waiting<Item, Result>[] {
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

  /** One timer for all items, since one for each would cost as much as the rest of this. */
  function lookSoon(): void {
    if (looking || options.deadlineMs === undefined) return
    looking = true
    setTimeout(look, LOOK_EVERY_MS).unref()
  }

  function look(): void {
    looking = false
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
    if (queue.length + running.size > 0) lookSoon()
  }

  return {
    add(item) {
      if (queue.length >= (options.maxWaiting ?? Number.POSITIVE_INFINITY)) {
        return Promise.reject(options.full?.() ?? new Error('too many items wait'))
      }
      const { promise, resolve, reject } = Promise.withResolvers<Result>()
      queue.push({ item, addedAt: performance.now(), isLate: false, resolve, reject })
      schedule()
      lookSoon()
      return promise
    },
  }
}
