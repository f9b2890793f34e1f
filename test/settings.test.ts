import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readIngestConfig } from '@sluice/ingest'
import { readSchedulerConfig } from '@sluice/scheduler'
import { type Env, SettingsError } from '@sluice/shared/runtime'
import { readWorkerConfig } from '@sluice/worker'
import { expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** Variables of other programs' containers in docker-compose.yml. */
const OF_OTHERS = new Set(['POSTGRES_USER', 'POSTGRES_PASSWORD', 'REDISCLI_AUTH'])

/** The settings that the code reads: each reader gets an environment that notes the names it is asked for. */
function settingsInCode(): string[] {
  const names = new Set<string>()
  const env = new Proxy<Env>({}, { get: (_, name) => void names.add(String(name)) })
  for (const read of [readIngestConfig, readWorkerConfig, readSchedulerConfig]) {
    expect(() => read(env)).toThrow(SettingsError)
  }
  return [...names].filter((name) => !name.endsWith('_FILE')).sort()
}

async function namesIn(file: string, pattern: RegExp): Promise<string[]> {
  return namesOf(await readFile(join(ROOT, file), 'utf8'), pattern)
}

function namesOf(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map(([, name = '']) => name))].sort()
}

it('.env.example names the settings that the code reads, and no others', async () => {
  expect(await namesIn('.env.example', /^#? ?([A-Z][A-Z_]+)=/gm)).toEqual(settingsInCode())
})

it('docs/operations.md describes the settings that the code reads, and no others', async () => {
  const page = await readFile(join(ROOT, 'docs/operations.md'), 'utf8')
  const [, section = ''] = page.split(/^## /m)
  const firstCells = [...section.matchAll(/^\|([^|]*)\|/gm)].map(([, cell]) => cell).join('\n')
  expect(namesOf(firstCells, /`([A-Z][A-Z_]+)`/g)).toEqual(settingsInCode())
})

it('docker-compose.yml passes nothing to the apps that they do not read', async () => {
  const known = new Set(settingsInCode())
  const passed = await namesIn('docker-compose.yml', /^ +([A-Z][A-Z_]+):(?=\s)/gm)
  expect(passed).toContain('DATABASE_URL')
  expect(passed.filter((name) => !known.has(name) && !OF_OTHERS.has(name))).toEqual([])
})
