import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { pathOf } from './path-of.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The paths of programs that only some tests need. Those that cannot be installed are missing. */
    programs: Partial<Record<Program, string>>
  }
}

/** Programs that only some tests need, each from the Debian package of the same name. */
const PROGRAMS = ['pgbouncer', 'valkey-server'] as const
export type Program = (typeof PROGRAMS)[number]

const run = promisify(execFile)

/** Its path; undefined if the tests that need it must be skipped (`describe.skipIf`). */
export function program(name: Program): string | undefined {
  return inject('programs')[name]
}

/** Finds the programs. As root on a system with apt it installs those that are missing. */
export async function findPrograms(): Promise<Partial<Record<Program, string>>> {
  const missing = PROGRAMS.filter((name) => !pathOf(name))
  if (missing.length > 0 && canInstall()) {
    for (const name of missing) {
      console.info(`Installing ${name} with apt for the tests …`)
      await install(name).catch(() => console.info(`${name} cannot be installed; its tests are skipped`))
    }
  }
  const found = PROGRAMS.map((name) => [name, pathOf(name)] as const)
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
