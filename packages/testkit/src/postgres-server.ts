import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, type Store, startPostgres } from '@sluice/embedded'
import { pingPostgres } from '@sluice/shared/db'
import { copyPostgresData, POSTGRES_PASSWORD } from './postgres-data.ts'

/** A Postgres to which faults are done. It keeps its port and its data from start to start. */
export type PostgresServer = AsyncDisposable & {
  readonly port: number
  readonly url: string
  readonly dir: string
  /** The folder of its data. */
  readonly data: string
  readonly isRunning: boolean
  start(): Promise<void>
  /** In an orderly way. */
  stop(): Promise<void>
  /** SIGKILL for the postmaster and all of its processes, and waits until they are gone. */
  kill(): Promise<void>
  /** SIGSTOP or SIGCONT for the postmaster and all of its processes. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void
  /** The postmaster first, then the processes that it has now. */
  pids(): number[]
}

/** Starts it at once, on an empty database. */
export async function createPostgresServer({ dir }: { dir: string }): Promise<PostgresServer> {
  await mkdir(dir, { recursive: true })
  const port = await freePort()
  await writeFile(join(dir, 'postgres.port'), String(port))
  await copyPostgresData(dir)
  let running: Store | undefined

  async function start(): Promise<void> {
    const store = await startPostgres({
      stateDir: dir,
      password: POSTGRES_PASSWORD,
      ping: pingPostgres,
      report: () => {},
    })
    running = store
    void store.exited.then(() => {
      if (running === store) running = undefined
    })
  }
  function pids(): number[] {
    const pidFile = join(realpathSync(join(dir, 'postgres')), 'postmaster.pid')
    const postmaster = Number.parseInt(readFileSync(pidFile, 'utf8'), 10)
    return [postmaster, ...childrenOf(postmaster)]
  }
  function signal(name: NodeJS.Signals): void {
    // The postmaster first: when a child dies, it starts another one.
    for (const pid of pids()) {
      try {
        process.kill(pid, name)
      } catch {
        // It has ended meanwhile.
      }
    }
  }
  await start()

  return {
    port,
    url: `postgres://sluice:${POSTGRES_PASSWORD}@127.0.0.1:${port}/sluice`,
    dir,
    data: realpathSync(join(dir, 'postgres')),
    get isRunning() {
      return running !== undefined
    },
    start,
    async stop() {
      const store = running
      await store?.stop(10_000)
      running = undefined
    },
    async kill() {
      const store = running
      if (!store) return
      signal('SIGKILL')
      await store.exited
    },
    signal,
    pids,
    async [Symbol.asyncDispose]() {
      await running?.stop(5_000)
    },
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        // "pid (name) state parent …"; the name may hold anything but the last parenthesis.
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent
      } catch {
        return false
      }
    })
}
