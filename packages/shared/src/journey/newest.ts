type Received = { readonly lastAt: number }

/** Of items that each have a value: the newest one, and the newest one with another value than a given one. */
export type Newest<Item extends Received> = {
  add(item: Item): void
  /** @returns undefined if there is none with another value */
  otherThan(value: string | null): Item | undefined
  /** The newest of all, and the newest with another value than that one. */
  readonly items: readonly Item[]
}

/** Two items are enough: for any value, the newest with another value is the first one, or else the second. */
export function createNewest<Item extends Received>(valueIn: (item: Item) => string | null): Newest<Item> {
  const items: Item[] = []
  return {
    items,
    add(item) {
      const [first, second] = items
      if (!first) items[0] = item
      else if (valueIn(item) === valueIn(first)) {
        if (item.lastAt > first.lastAt) items[0] = item
      } else if (item.lastAt > first.lastAt) {
        items[0] = item
        items[1] = first
      } else if (!second || item.lastAt > second.lastAt) {
        items[1] = item
      }
    },
    otherThan(value) {
      const [first, second] = items
      return first && valueIn(first) === value ? second : first
    },
  }
}

export function newestOf<Item extends Received>(items: readonly Item[]): Item | undefined {
  let newest: Item | undefined
  for (const item of items) if (!newest || item.lastAt > newest.lastAt) newest = item
  return newest
}
