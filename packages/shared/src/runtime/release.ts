import { readFileSync } from 'node:fs'

/** The version of Sluice that runs, as its package.json has it. */
export function release(): string {
  const file = new URL('../../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
