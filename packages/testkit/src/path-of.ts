import { accessSync, constants, globSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The path of a program; undefined if it is not installed. */
export function pathOf(name: string): string | undefined {
  return foldersOnPath()
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

/** The folder of a PostgreSQL with server, `pg_dump` and `pg_restore`, the newest one; undefined if there is none. */
export function postgresFolder(): string | undefined {
  const versionOf = (folder: string) => Number(folder.split('/').at(-2))
  // Debian keeps them out of the PATH, and has scripts there that look for a server of their own.
  const debian = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => versionOf(b) - versionOf(a))
  return [...debian, ...foldersOnPath()].find((folder) =>
    ['initdb', 'postgres', 'pg_dump', 'pg_restore'].every((name) => isExecutable(join(folder, name))),
  )
}

function foldersOnPath(): string[] {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
