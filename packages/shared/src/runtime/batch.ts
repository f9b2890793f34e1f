/**
 * Runs work on many items at once: while fewer than `concurrency` runs are under way an item starts at once, with
 * whatever else arrives in the same turn of the event loop; otherwise items gather until a run ends. So an idle
 * process answers without delay and a busy one makes large batches, without a timer.
 */
export type Batcher<Item, Result> = {
  /** Rejects with `full()` where `maxWaiting` items already wait. */
  add(item: Item): Promise<Result>
}

type Waiting<Item, Result> = { item: Item; resolve(result: Result): void; reject(error: unknown): void }

/** @param options.run gives a result for each item in order, settled one by one; when it throws, each item fails. */
export function createBatcher<Item, Result>(options: {
  run(items: Item[]): Promise<PromiseSettledResult<Result>[]>
  maxItems: number
  concurrency: number
  maxWaiting?: number
  full?(): Error
}): Batcher<Item, Result> {
  const queue: Waiting<Item, Result>[] = []
  let running = 0
  let scheduled = false

  function schedule(): void {
    if (scheduled || running >= options.concurrency || queue.length === 0) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      void flush()
    })
  }

  async function flush(): Promise<void> {
    const batch = queue.splice(0, options.maxItems)
    running++
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
      running--
      schedule()
    }
  }

  return {
    add(item) {
      if (queue.length >= (options.maxWaiting ?? Number.POSITIVE_INFINITY)) {
        return Promise.reject(options.full?.() ?? new Error('too many items wait'))
      }
      const { promise, resolve, reject } = Promise.withResolvers<Result>()
      queue.push({ item, resolve, reject })
      schedule()
      return promise
    },
  }
}
