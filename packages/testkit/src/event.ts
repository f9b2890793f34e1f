import { randomUUID } from 'node:crypto'

/** A Finished Journey with new ids. `fields` are added to its body. */
export function finishedJourney(fields: Record<string, unknown> = {}): { eventId: string; bytes: Buffer } {
  const eventId = randomUUID()
  const body = {
    eventId,
    journeyId: randomUUID(),
    referenceNo: 'REF-1',
    systemDecision: 'Complete',
    ...fields,
  }
  return { eventId, bytes: Buffer.from(JSON.stringify({ event: 'Finished Journey', body })) }
}

/** Shuffles by Fisher and Yates: the same seed gives the same order. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const result = [...items]
  let state = seed
  for (let i = result.length - 1; i > 0; i--) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    const j = state % (i + 1)
    ;[result[i], result[j]] = [result[j] as T, result[i] as T]
  }
  return result
}

/** Runs the work on every item, at most `width` at once. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = [...items]
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
    }),
  )
}
