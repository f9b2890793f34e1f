import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, keep } from '@sluice/embedded'
import { pingPostgres } from '@sluice/shared/db'
import { eventually } from './eventually.ts'

export type PoolMode = 'session' | 'transaction'

/** A PgBouncer in front of a Postgres, with its defaults but for the mode. */
export type PgBouncer = AsyncDisposable & {
  /** The URL of the same database through this PgBouncer. */
  through(url: string): string
}

/** PgBouncer does not run as root. */
const NOBODY = 65_534
const LIMIT_MS = 10_000

/**
 * @param binary the path of PgBouncer
 * @param postgresUrl a server, whose user and password all clients use
 */
export async function startPgBouncer(
  binary: string,
  postgresUrl: string,
  mode: PoolMode,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PgBouncer> {
  const { hostname, port: serverPort, username, password } = new URL(postgresUrl)
  const dir = await mkdtemp(join(tmpdir(), 'sluice-pgbouncer-'))
  const port = await freePort()
  const lines = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'any',
    pool_mode: mode,
    default_pool_size: 40,
    ...settings,
  }
  const login = `user=${username} password=${decodeURIComponent(password)}`
  await writeFile(
    join(dir, 'pgbouncer.ini'),
    `[databases]\n* = host=${hostname} port=${serverPort} ${login}\n[pgbouncer]\n${Object.entries(lines)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('')}`,
  )
  await chmod(dir, 0o755)
  const kept = keep({
    command: binary,
    args: [join(dir, 'pgbouncer.ini')],
    stopSignal: 'SIGTERM',
    logFile: join(dir, 'log'),
    cwd: dir,
    ...(process.getuid?.() === 0 && { uid: NOBODY, gid: NOBODY }),
  })
  const through = (url: string) => {
    const changed = new URL(url)
    changed.hostname = '127.0.0.1'
    changed.port = String(port)
    return changed.href
  }
  const answers = () =>
    pingPostgres(through(postgresUrl)).then(
      () => true,
      () => false,
    )
  await eventually(answers, LIMIT_MS)
  return {
    through,
    async [Symbol.asyncDispose]() {
      await kept.stop(2_000)
      await rm(dir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
