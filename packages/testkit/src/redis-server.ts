import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findRedis, freePort, keep, type Store, startServer } from '@sluice/embedded'
import { pingRedis } from '@sluice/shared/queue'
import { UserError } from '@sluice/shared/runtime'
import { Redis } from 'ioredis'

/** A Redis to which faults are done. It keeps its port and its data from start to start. */
export type RedisServer = AsyncDisposable & {
  readonly port: number
  readonly url: string
  readonly dir: string
  readonly isRunning: boolean
  start(): Promise<void>
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>
  /** SIGSTOP and SIGCONT. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  pid(): number
  /** Uses a connection that was there before the fault. Waits for Redis up to ten seconds. */
  command(...args: [string, ...(string | number)[]]): Promise<unknown>
  /** By CONFIG SET: the connections stay. */
  configure(name: string, value: string | number): Promise<void>
}

export type RedisOptions = {
  dir: string
  /** By default any free one. */
  port?: number
  /** Lines of redis.conf that replace the usual ones. */
  settings?: Readonly<Record<string, string>>
  /** For its process, such as LD_PRELOAD. */
  env?: Readonly<Record<string, string>>
}

const PASSWORD = 'for-the-tests-only'
const USUAL = {
  bind: '127.0.0.1',
  requirepass: PASSWORD,
  masterauth: PASSWORD,
  dir: './',
  pidfile: './redis.pid',
  appendonly: 'yes',
  appendfsync: 'always',
  save: '""',
  'maxmemory-policy': 'noeviction',
}

/** Starts it at once. */
export async function createRedisServer({
  dir,
  port: preferred,
  settings = {},
  env = {},
}: RedisOptions): Promise<RedisServer> {
  const found = await findRedis()
  if ('reason' in found) throw new UserError(`This needs redis-server 6.2 or later: ${found.reason}.`)
  const binary = found.path
  await mkdir(dir, { recursive: true })
  const port = await freePort(preferred)
  await writeFile(join(dir, 'port'), String(port))
  const url = `redis://:${PASSWORD}@127.0.0.1:${port}`
  const lines = Object.entries({ ...USUAL, ...settings, port }).map(([name, value]) => `${name} ${value}\n`)
  await writeFile(join(dir, 'redis.conf'), lines.join(''))
  let running: Store | undefined

  async function start(): Promise<void> {
    const logFile = join(dir, 'redis.log')
    const store = await startServer({
      name: 'Redis',
      portFile: join(dir, 'port'),
      logFile,
      launch: () =>
        keep({ command: binary, args: ['redis.conf'], stopSignal: 'SIGTERM', logFile, cwd: dir, env }),
      url: () => url,
      ping: pingRedis,
      report: () => {},
    })
    running = store
    void store.exited.then(() => {
      if (running === store) running = undefined
    })
  }
  const pid = () => Number(readFileSync(join(dir, 'redis.pid'), 'utf8'))
  await start()
  const admin = new Redis(url, {
    retryStrategy: () => 100,
    commandTimeout: 10_000,
    maxRetriesPerRequest: null,
  })
  admin.on('error', () => {})
  const command: RedisServer['command'] = (name, ...args) => admin.call(name, ...args)

  return {
    port,
    url,
    dir,
    get isRunning() {
      return running !== undefined
    },
    start,
    async kill() {
      const store = running
      if (!store) return
      process.kill(pid(), 'SIGKILL')
      await store.exited
    },
    signal: (signal) => void process.kill(pid(), signal),
    pid,
    command,
    configure: async (name, value) => void (await command('CONFIG', 'SET', name, value)),
    async [Symbol.asyncDispose]() {
      admin.disconnect()
      await running?.stop(2_000)
    },
  }
}
