import type { PreviousEvent } from '@sluice/shared/operations'
import { print } from '../output.ts'

const MOST_CHARACTERS = 200

/** Prints how two bodies differ, path by path. */
export function printChanges({ changes, isCut }: Pick<PreviousEvent, 'changes' | 'isCut'>): void {
  if (changes === null) print('  one of both is no JSON')
  if (changes?.length === 0) print('  the same, but for blanks or the order of fields')
  for (const { path, before, after } of changes ?? [])
    print(`  ${path || '(all)'}: ${shortened(before)} → ${shortened(after)}`)
  if (isCut) print('  and more')
}

function shortened(text: string | null): string {
  if (text === null) return '-'
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text
}
