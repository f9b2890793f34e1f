import { execFile } from 'node:child_process'
import { chown, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { keep, startServer } from '@sluice/embedded'
import { pingPostgres } from '@sluice/shared/db'
import { POSTGRES_PASSWORD } from './postgres-data.ts'

/** A PostgreSQL that the system has installed. It brings its own `pg_dump`, which a server asks for. */
export type SystemPostgres = AsyncDisposable & {
  readonly url: string
  /** Runs `pg_dump` on the database. @returns what it prints */
  dump(...args: string[]): Promise<Buffer>
  /** Restores a dump of the format `custom` into a new database. @returns its URL */
  restore(dumpFile: string, database: string): Promise<string>
}

/** Postgres does not run as root. */
const NOBODY = { uid: 65_534, gid: 65_534 }
const LARGEST_DUMP = 256 * 1024 * 1024
const run = promisify(execFile)

/**
 * @param bin the folder of its programs
 * @param dir an empty folder that every user can enter
 */
export async function startSystemPostgres(bin: string, dir: string): Promise<SystemPostgres> {
  const data = join(dir, 'data')
  const passwordFile = join(dir, 'password')
  const logFile = join(dir, 'log')
  const owner = process.getuid?.() === 0 ? NOBODY : undefined
  await mkdir(data, { mode: 0o700 })
  await writeFile(passwordFile, POSTGRES_PASSWORD)
  if (owner) await chown(data, owner.uid, owner.gid)
  const as = { ...owner, cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C' } }
  const format = ['--encoding=UTF8', '--locale=C', '--auth=scram-sha-256', '--no-sync']
  await run(join(bin, 'initdb'), ['-D', data, ...format, '-U', 'sluice', `--pwfile=${passwordFile}`], as)
  const settings = (port: number) => [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
  ]
  const server = await startServer({
    name: 'Postgres',
    portFile: join(dir, 'port'),
    logFile,
    launch: (port) =>
      keep({
        command: join(bin, 'postgres'),
        args: ['-D', data, ...settings(port).flatMap((setting) => ['-c', setting])],
        stopSignal: 'SIGINT',
        logFile,
        cwd: '/',
        ...owner,
      }),
    url: (port) => `postgres://sluice:${POSTGRES_PASSWORD}@127.0.0.1:${port}/postgres`,
    ping: pingPostgres,
    report: () => {},
  })
  return {
    url: server.url,
    async dump(...args) {
      const options = { encoding: 'buffer', maxBuffer: LARGEST_DUMP } as const
      const { stdout } = await run(join(bin, 'pg_dump'), [...args, server.url], options)
      return stdout
    },
    async restore(dumpFile, database) {
      const url = new URL(server.url)
      url.pathname = `/${database}`
      await run(join(bin, 'createdb'), [`--maintenance-db=${server.url}`, database])
      await run(join(bin, 'pg_restore'), ['--exit-on-error', '--no-owner', `--dbname=${url.href}`, dumpFile])
      return url.href
    },
    [Symbol.asyncDispose]: () => server.stop(10_000),
  }
}
