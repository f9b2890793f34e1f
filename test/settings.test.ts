import { readFileSync } from 'node:fs'
import { consoleSettings } from '@sluice/console'
import { ingestSettings } from '@sluice/ingest'
import { schedulerSettings } from '@sluice/scheduler'
import { erasureSettings } from '@sluice/shared/operations'
import { isFromFile } from '@sluice/shared/runtime'
import { workerSettings } from '@sluice/worker'
import { describe, expect, it } from 'vitest'

const PROCESSES = {
  ingest: ingestSettings.shape,
  worker: workerSettings.shape,
  scheduler: schedulerSettings.shape,
  console: consoleSettings.shape,
}
/** Only commands read them. */
const COMMANDS = erasureSettings
const SETTINGS = {
  ...PROCESSES.ingest,
  ...PROCESSES.worker,
  ...PROCESSES.scheduler,
  ...PROCESSES.console,
  ...COMMANDS,
}
const NAMES = Object.keys(SETTINGS).sort()

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

/** The default of a setting as text; undefined for a setting that is required, or has no value if it is unset. */
function defaultOf(name: string): string | undefined {
  const { data } = SETTINGS[name as keyof typeof SETTINGS].safeParse(undefined)
  return data === undefined || Array.isArray(data) ? undefined : String(data)
}
const withDefault = NAMES.filter((name) => defaultOf(name) !== undefined)
const defaults = Object.fromEntries(withDefault.map((name) => [name, defaultOf(name)]))

describe('.env.example', () => {
  const given = new Map(
    [...read('.env.example').matchAll(/^# ([A-Z_]+)=(.*)$/gm)].map(([, name = '', value]) => [name, value]),
  )

  it('names the settings that the code reads', () => {
    expect([...given.keys()].sort()).toEqual(NAMES)
  })

  it('shows their defaults', () => {
    expect(Object.fromEntries(withDefault.map((name) => [name, given.get(name)]))).toEqual(defaults)
  })
})

describe('docs/operations.md', () => {
  const [, section = ''] = /^## Settings$(.*?)^## /ms.exec(read('docs/operations.md')) ?? []
  const rows = [...section.matchAll(/^\| (`[A-Z_`, ]+`) \| (.*?) \| (.*?) \| (.*) \|$/gm)].flatMap(
    ([, names = '', byDefault = '', readBy = '', meaning = '']) =>
      [...names.matchAll(/[A-Z_]+/g)].map(([name]) => ({ name, byDefault, readBy, meaning })),
  )

  it('describes the settings that the code reads', () => {
    expect(rows.map(({ name }) => name).sort()).toEqual(NAMES)
  })

  it('gives their defaults', () => {
    const shown = rows.filter(({ name }) => withDefault.includes(name))
    const first = (text: string) => /^`?([^`\s]+)/.exec(text)?.[1]
    expect(Object.fromEntries(shown.map(({ name, byDefault }) => [name, first(byDefault)]))).toEqual(defaults)
  })

  it('says which processes read them', () => {
    const readers = rows.map(({ name }) => [
      name,
      name in COMMANDS
        ? ['commands']
        : Object.keys(PROCESSES).filter((each) => name in PROCESSES[each as 'worker']),
    ])
    const shown = rows.map(({ name, readBy }) => [
      name,
      readBy === 'all' ? Object.keys(PROCESSES) : readBy.split(', '),
    ])
    expect(shown).toEqual(readers)
  })

  it('says which of them may come from a file', () => {
    const fromFile = NAMES.filter((name) => isFromFile(SETTINGS[name as keyof typeof SETTINGS]))
    expect(
      rows
        .filter(({ meaning }) => meaning.includes('_FILE`'))
        .map(({ name }) => name)
        .sort(),
    ).toEqual(fromFile)
  })
})

describe('docker-compose.yml', () => {
  const compose = read('docker-compose.yml')
  /** The names in capitals in a block, which ends at the next line that is indented no more than its head. */
  const namesIn = (head: string) => {
    const [, indent = '', block = ''] =
      new RegExp(`^( *)${head}:.*\\n((?:\\1 +.*\\n|\\n)*)`, 'm').exec(compose) ?? []
    return [...block.matchAll(new RegExp(`^${indent} +([A-Z_]+):`, 'gm'))].map(([, name = '']) => name)
  }

  it.each(['ingest', 'worker', 'console'] as const)(
    'passes on to the %s the settings that it reads',
    (service) => {
      const passed = [...namesIn('x-settings'), ...namesIn(service)]
      // A container has its ports for itself: what changes is which ports are published.
      const wanted = Object.keys(PROCESSES[service]).filter((name) => !name.endsWith('_PORT'))
      expect(wanted.filter((name) => !passed.includes(name))).toEqual([])
      expect(passed.filter((name) => !NAMES.includes(name))).toEqual([])
    },
  )
})
