import { readFileSync } from 'node:fs'

/** The version of Sluice that runs, as its package.json has it. */
export function release(): string {
  const file = new URL('../../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** The number of the newest migration that this release knows. */
export function newestMigration(): string {
  const file = new URL('../db/migrations/meta/_journal.json', import.meta.url)
  const { entries } = JSON.parse(readFileSync(file, 'utf8')) as { entries: { idx: number }[] }
  return String(entries.at(-1)?.idx)
}
