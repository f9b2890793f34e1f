import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chown, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describeError, errorCode, UserError } from '@sluice/shared/runtime'
import { keep } from './keeper.ts'
import { endOrphan } from './orphan.ts'
import { findHome, type Home } from './postgres-home.ts'
import { type Ping, type Store, startServer } from './server.ts'

export type PostgresOptions = {
  /** Absolute path of `.sluice`. */
  stateDir: string
  password: string
  ping: Ping
  /** Gets a line for a person when something takes longer. */
  report(text: string): void
}

const run = promisify(execFile)

/**
 * Starts the embedded Postgres on the data in `.sluice/postgres`, which the first start makes. It is as durable as any
 * other (fsync stays on): no way of stopping it loses an event.
 *
 * @throws UserError if it cannot be started, with a remedy
 */
export async function startPostgres({ stateDir, password, ping, report }: PostgresOptions): Promise<Store> {
  const home = await findHome(stateDir)
  const { bin, data, owner } = home
  if (!existsSync(join(data, 'PG_VERSION'))) {
    report('Making a database in .sluice/postgres …')
    await initialise(home, password)
  }
  refuseOtherMajor(home)
  const reused = await endOrphan(
    join(data, 'postmaster.pid'),
    (args) => args.includes('/postgres ') && args.includes(` ${data} `),
    'SIGINT',
  )
  const logFile = join(stateDir, 'postgres.log')
  return startServer({
    name: 'The embedded Postgres',
    portFile: join(stateDir, 'postgres.port'),
    logFile,
    launch: (port) =>
      keep({
        command: join(bin, 'postgres'),
        args: ['-D', data, ...settings(port)],
        // Postgres refuses to start if the pid in its lock file belongs to a process, unless that is its grandparent.
        env: { PG_GRANDPARENT_PID: String(reused ?? 0) },
        stopSignal: 'SIGINT', // "fast": it ends the connections, and writes everything
        logFile,
        cwd: '/',
        ...owner,
      }),
    url: (port) => `postgres://sluice:${password}@127.0.0.1:${port}/sluice`,
    ping,
    report,
    // After a crash the old processes need a moment to end.
    passing: /pre-existing shared memory block|lock file "postmaster.pid" already exists/,
    explain: (error) => {
      if (errorCode(error) !== '28P01') return undefined
      return `The password in ${stateDir}/env is not the one of the data in .sluice/postgres. Bring back that file.`
    },
  })
}

function settings(port: number): string[] {
  const values = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'on',
    synchronous_commit: 'on',
    // Statements, and rows that errors quote, contain personal data: they must not be in the log.
    log_min_error_statement: 'panic',
    log_error_verbosity: 'terse',
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/** Makes the data in another folder and renames it: an interrupted first start leaves nothing half done. */
async function initialise({ bin, data, owner }: Home, password: string): Promise<void> {
  if (existsSync(data) && readdirSync(data).length > 0) {
    throw new UserError(`${data} holds files but no Postgres data. Move them away, then start again.`)
  }
  const fresh = `${data}.new`
  const passwordFile = `${data}.password`
  try {
    await rm(fresh, { recursive: true, force: true, maxRetries: 5 })
    await mkdir(fresh, { mode: 0o700 })
    await rm(passwordFile, { force: true })
    await writeFile(passwordFile, password, { mode: 0o600 })
    if (owner) for (const path of [fresh, passwordFile]) await chown(path, owner.uid, owner.gid)

    const as = { ...owner, cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C' } }
    const format = ['--encoding=UTF8', '--locale=C', '--auth=scram-sha-256', '--no-instructions']
    const user = ['--username=sluice', `--pwfile=${passwordFile}`]
    await run(join(bin, 'initdb'), ['-D', fresh, ...format, ...user], as)
    const single = run(join(bin, 'postgres'), ['--single', '-D', fresh, 'postgres'], as)
    single.child.stdin?.end('CREATE DATABASE sluice\n')
    await single
    await rename(fresh, data)
  } catch (error) {
    const words = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1)
    throw new UserError(`Cannot make a database in ${data}: ${words || describeError(error).message}`)
  } finally {
    await rm(passwordFile, { force: true })
  }
}

function refuseOtherMajor({ data, major }: Home): void {
  const stored = readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()
  if (stored === major) return
  throw new UserError(
    `The data in ${data} is of Postgres ${stored}, this Sluice brings Postgres ${major}. Go back to the earlier ` +
      'Sluice and dump it with pg_dump, or move it away to begin with an empty database.',
  )
}
