import { createHash } from 'node:crypto'

/** Random values that can be repeated: the same seed gives the same values in the same order, on every machine. */
export type Random = {
  /** A whole number from 0 up to, but not including, `limit` (at most 2^32). */
  below(limit: number): number
  /** True with the probability `share` (0 to 1). */
  chance(share: number): boolean
  pick<T>(list: readonly [T, ...T[]]): T
  /** One of the names, by their weights. At least one weight must be above 0. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name
  hex(digits: number): string
  uuid(): string
}

export function createRandom(seed: string): Random {
  const next = sfc32(createHash('sha256').update(seed).digest())
  const fraction = () => next() / 2 ** 32
  const below = (limit: number) => Math.floor(fraction() * limit)

  function weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const entries = (Object.entries(weights) as [Name, number][]).filter(([, weight]) => weight > 0)
    let rest = fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) {
      rest -= weight
      if (rest < 0) return name
    }
    // Rounding may leave `rest` a little above 0.
    return (entries.at(-1) as [Name, number])[0]
  }

  function hex(digits: number): string {
    let text = ''
    while (text.length < digits) text += next().toString(16).padStart(8, '0')
    return text.slice(0, digits)
  }

  return {
    below,
    chance: (share) => fraction() < share,
    pick: (list) => list[below(list.length)] as (typeof list)[0],
    weighted,
    hex,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
  }
}

/** Chris Doty-Humphrey's small fast counter (PractRand): 32 bits at a time from 128 bits of state. */
function sfc32(seed: Buffer): () => number {
  let [a, b, c, counter] = [0, 4, 8, 12].map((at) => seed.readInt32LE(at)) as [number, number, number, number]
  return () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
}
