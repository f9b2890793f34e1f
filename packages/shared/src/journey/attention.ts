const MAX_LENGTH = 1_000
/** More texts than fit into that length: with its quotes and a separator, each takes at least five characters. */
const MOST = 200

/** The text of `needsAttention`: each line once, in alphabetical order, cut to 1,000 characters. */
export function describeAttention(lines: readonly string[]): string | null {
  return lines.length > 0 ? alphabetical(lines).join('; ').slice(0, MAX_LENGTH) : null
}

export function unknown(what: string, value: string | null, known: ReadonlySet<string>): string[] {
  return value === null || known.has(value) ? [] : [`unknown ${what} decision ${quoted(value)}`]
}

export function contested(what: string, values: readonly string[]): string[] {
  return values.length > 1
    ? [`${what} ${values.map(quoted).join(' and ')} came too close together to know the last one`]
    : []
}

export function quoted(text: string | null): string {
  return `"${(text ?? '').slice(0, 80)}"`
}

/**
 * The first of these texts in alphabetical order, each once. Only as many are sorted as can be shown, so that a journey
 * with very many events stays cheap to fold.
 */
export function alphabetical(texts: readonly string[]): string[] {
  let first: string[] = []
  let last: string | undefined
  for (const text of texts) {
    if (last !== undefined && text >= last) continue
    first.push(text)
    if (first.length < 2 * MOST) continue
    first = sorted(first)
    last = first[MOST - 1]
  }
  return sorted(first)
}

function sorted(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort().slice(0, MOST)
}
