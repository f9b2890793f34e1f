import { readFile } from 'node:fs/promises'

const DOCS = new URL('../../../docs/', import.meta.url)
export const RUNBOOK_PAGES = ['operations', 'runbooks'] as const
type RunbookPage = (typeof RUNBOOK_PAGES)[number]

/** The address of a heading of the documentation, such as `docs/operations.md#dead-letters`, in the console. */
export function runbookPath(place: string): string | undefined {
  const [, page, anchor] = /^(?:docs\/)?(operations|runbooks)\.md#([\w-]+)$/.exec(place) ?? []
  return page && `/runbooks/${page}/${anchor}`
}

/** What stands below a heading of the documentation, as Markdown. @returns undefined if there is none */
export async function readRunbook(
  page: RunbookPage,
  anchor: string,
): Promise<{ heading: string; markdown: string } | undefined> {
  const text = await readFile(new URL(`${page}.md`, DOCS), 'utf8').catch(() => '')
  const lines = text.split('\n')
  const levelOf = (line: string) => /^(#+) /.exec(line)?.[1]?.length
  const start = lines.findIndex((line) => levelOf(line) && anchorOf(line) === anchor)
  const level = levelOf(lines[start] ?? '')
  if (level === undefined) return undefined
  const rest = lines.slice(start + 1)
  const end = rest.findIndex((line) => (levelOf(line) ?? Number.POSITIVE_INFINITY) <= level)
  const heading = (lines[start] ?? '').replace(/^#+ /, '')
  return { heading, markdown: (end < 0 ? rest : rest.slice(0, end)).join('\n') }
}

function anchorOf(heading: string): string {
  return heading
    .replace(/^#+ /, '')
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}
