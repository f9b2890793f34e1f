import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { findHelm } from './helm.ts'
import { pathOf, postgresFolder } from './path-of.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The paths of programs that only some tests need. Those that cannot be installed are missing. */
    programs: Partial<Record<Program, string>>
  }
}

/** What only some tests need: each Debian package, and where it is once it is installed. */
const PROGRAMS = {
  pgbouncer: () => pathOf('pgbouncer'),
  haproxy: () => pathOf('haproxy'),
  /** For `promtool`. */
  prometheus: () => pathOf('promtool'),
  'valkey-server': () => pathOf('valkey-server'),
  /** For the tests of the console's pages; TEST_CHROMIUM names another one. */
  chromium: () => process.env.TEST_CHROMIUM ?? pathOf('chromium'),
  /** A folder of programs. The embedded Postgres has no `pg_dump`. */
  postgresql: postgresFolder,
  /** Debian has none: it comes in an npm package. */
  helm: findHelm,
}
export type Program = keyof typeof PROGRAMS
const NAMES = Object.keys(PROGRAMS) as Program[]

const run = promisify(execFile)

/** Its path; undefined if the tests that need it must be skipped (`describe.skipIf`). */
export function program(name: Program): string | undefined {
  return inject('programs')[name]
}

/** Finds the programs. As root on a system with apt it installs those that are missing. */
export async function findPrograms(): Promise<Partial<Record<Program, string>>> {
  const missing = NAMES.filter((name) => !PROGRAMS[name]())
  if (missing.length > 0 && canInstall()) {
    for (const name of missing) {
      console.info(`Installing ${name} with apt for the tests …`)
      await install(name).catch(() => console.info(`${name} cannot be installed; its tests are skipped`))
    }
  }
  const found = NAMES.map((name) => [name, PROGRAMS[name]()] as const)
  return Object.fromEntries(found.filter(([, path]) => path !== undefined))
}

export function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')
}

let updated: Promise<unknown> | undefined

/** Installs a Debian package without starting its services. */
export async function install(name: string): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  updated ??= run('apt-get', ['update', '-q'], { env })
  await updated
  await run('apt-get', ['install', '-qy', '--no-install-recommends', name], { env })
}
