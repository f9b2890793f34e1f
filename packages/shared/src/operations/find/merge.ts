/** A part of a list, in its own order, which is about that of time. */
type Part<Item, Place> = {
  readonly items: readonly { readonly item: Item; readonly place: Place }[]
  /** How far the part reaches; null if there is nothing behind it. */
  readonly end: Place | null
  /** The time of a place, in ms. */
  readonly at: (place: Place) => number
}

type Merged<Item, First, Second> = {
  readonly items: Item[]
  /** How far each list has been shown; undefined if nothing of it was. */
  readonly first: First | undefined
  readonly second: Second | undefined
  /** Nothing is behind these items. */
  readonly isAll: boolean
}

/**
 * Merges two lists, the newest first. Each goes on from its own place, so that no item is lost or comes twice whatever
 * the times say: they only decide which list is next. An item waits for the next page if the other list may still have
 * newer ones behind its end.
 */
export function mergeLists<Item, First, Second>(
  one: Part<Item, First>,
  other: Part<Item, Second>,
  limit: number,
): Merged<Item, First, Second> {
  const items: Item[] = []
  let ones = 0
  let others = 0
  while (items.length < limit) {
    const next = one.items[ones]
    const nextOther = other.items[others]
    const at = timeOf(one, ones)
    const otherAt = timeOf(other, others)
    if (next && at >= otherAt) {
      items.push(next.item)
      ones++
    } else if (nextOther && otherAt >= at) {
      items.push(nextOther.item)
      others++
    } else break
  }
  const isAll =
    ones === one.items.length && others === other.items.length && one.end === null && other.end === null
  return { items, first: placeAfter(one, ones), second: placeAfter(other, others), isAll }
}

/** The latest time that the rest of a list can have. */
function timeOf<Item, Place>({ items, end, at }: Part<Item, Place>, taken: number): number {
  const next = items[taken]?.place ?? end
  return next === null ? -Infinity : at(next)
}

function placeAfter<Item, Place>({ items, end }: Part<Item, Place>, taken: number): Place | undefined {
  return taken === items.length && end !== null ? end : items[taken - 1]?.place
}
