import type { LetterFilter } from '@sluice/shared/operations'

/** The filter as the pairs of an address or a form. */
export function filterPairs(filter: LetterFilter): [name: string, value: string][] {
  return Object.entries(filter).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  )
}

/** The address of the page that asks before an act. */
export function actPath(kind: string, filter: LetterFilter): string {
  return `/dead-letters/act?${new URLSearchParams([['kind', kind], ...filterPairs(filter)])}`
}

export function listPath(state: string, filter: LetterFilter, further: Record<string, string> = {}): string {
  const pairs = [['view', 'list'], ['state', state], ...filterPairs(filter), ...Object.entries(further)]
  return `/dead-letters?${new URLSearchParams(pairs as [string, string][])}`
}

/** The address of the stream that says how many letters of a list are newer. @param top the newest one that is shown */
export function newsPath(state: string, filter: LetterFilter, top: number): string {
  return `/live${listPath(state, filter, { top: String(top) })}`
}
