import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { keep } from './keeper.ts'
import { endOrphan } from './orphan.ts'
import { type Ping, type Store, startServer } from './server.ts'
import { writeWhole } from './write-whole.ts'

export type RedisBinary = { path: string; version: string }

export type RedisOptions = {
  /** Absolute path of `.sluice`. */
  stateDir: string
  password: string
  /** The path that `findRedis` found. */
  binary: string
  ping: Ping
  /** Gets a line for a person when something takes longer. */
  report(text: string): void
}

const run = promisify(execFile)

/** A `redis-server` or `valkey-server` on the PATH, 6.2 or later; or the reason why there is none. */
export async function findRedis(): Promise<RedisBinary | { reason: string }> {
  let reason = 'no redis-server or valkey-server is installed'
  for (const path of candidates()) {
    const printed = await run(path, ['--version'], { timeout: 5_000 }).then(
      ({ stdout }) => stdout,
      () => '',
    )
    const [, version, major, minor] = /v=((\d+)\.(\d+)\S*)/.exec(printed) ?? []
    if (version === undefined) reason = `${path} does not run`
    else if (Number(major) * 100 + Number(minor) < 602) reason = `${path} is Redis ${version}, older than 6.2`
    else return { path, version }
  }
  return { reason }
}

/**
 * Starts a private Redis on the data in `.sluice/redis`. Every write is on disk before it is answered.
 *
 * @throws UserError if it cannot be started, with a remedy
 */
export async function startRedis({ stateDir, password, binary, ping, report }: RedisOptions): Promise<Store> {
  const dir = join(stateDir, 'redis')
  const config = join(dir, 'redis.conf')
  const logFile = join(stateDir, 'redis.log')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await endOrphan(join(dir, 'redis.pid'), (args) => args.includes(` ${config} `), 'SIGTERM')
  return startServer({
    name: 'The private Redis',
    portFile: join(stateDir, 'redis.port'),
    logFile,
    async launch(port) {
      await writeWhole(config, settings(port, password))
      return keep({ command: binary, args: [config], stopSignal: 'SIGTERM', logFile, cwd: dir })
    },
    url: (port) => `redis://:${password}@127.0.0.1:${port}`,
    ping,
    report,
  })
}

/** The text of redis.conf. Every user of the machine can read arguments, so the password must not be there. */
function settings(port: number, password: string): string {
  return `bind 127.0.0.1
port ${port}
requirepass ${password}
dir ./
pidfile ./redis.pid
# The arguments must stay readable: by them a start finds the server of its data.
set-proc-title no
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
# A job is a small hash: packed, it takes half the room.
hash-max-listpack-value 1024
# Jobs come and go, so the log grows by far more than the data: to rewrite it each 64 MB would hold up events every few seconds.
auto-aof-rewrite-min-size 256mb
`
}

function candidates(): string[] {
  const directories = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '')
  return directories
    .flatMap((directory) => [join(directory, 'redis-server'), join(directory, 'valkey-server')])
    .filter((path) => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    })
}
