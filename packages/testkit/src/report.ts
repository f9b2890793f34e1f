import { readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { findRedis } from '@sluice/embedded'

/** Rows of cells as a table in Markdown. The first row is the header. */
export function markdown([header = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '/')).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}

/** The versions and the machine of a run, as rows of a table. */
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

/** Ends this process when it is interrupted. The processes that `run` started end with it, and the stores notice it. */
export function exitOnInterrupt(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      console.error(`Interrupted (${signal}).`)
      process.exit(130)
    })
  }
}
