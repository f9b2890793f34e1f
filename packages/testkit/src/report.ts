import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { findRedis } from '@sluice/embedded'

/** Rows of cells, the first one the header, as Markdown. */
export function markdown([header = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '/')).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

/** The same for a terminal. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(...rows.map(({ length }) => length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What a run was made on. */
export async function machine(postgres = 'not started'): Promise<[string, string][]> {
  const redis = await findRedis()
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return [
    ['Sluice', version],
    ['Node.js', process.version],
    ['Redis', 'version' in redis ? redis.version : 'none'],
    ['Postgres', postgres],
    ['machine', `${cpus().length} cores (${cpus()[0]?.model.trim()}), ${gigabytes} GB, ${process.platform}`],
  ]
}
