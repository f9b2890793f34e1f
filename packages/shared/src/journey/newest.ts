type Arrived = { readonly lastAt: number }

/** Of items that each say a value: the newest, and the newest that says otherwise than a given value. */
export type Newest<Item extends Arrived> = {
  add(item: Item): void
  /** @returns undefined when none says otherwise */
  otherThan(value: string | null): Item | undefined
  /** The newest of all, and the newest that says otherwise than that one. */
  readonly items: readonly Item[]
}

/** Two items are enough: for any value the newest that says otherwise is the first, unless that one says it. */
export function createNewest<Item extends Arrived>(valueIn: (item: Item) => string | null): Newest<Item> {
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

export function newestOf<Item extends Arrived>(items: readonly Item[]): Item | undefined {
  let newest: Item | undefined
  for (const item of items) if (!newest || item.lastAt > newest.lastAt) newest = item
  return newest
}
