import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from '@sluice/testkit/eventually'
import { copyPostgresData, POSTGRES_PASSWORD } from '@sluice/testkit/postgres-data'
import { type Running, run } from '@sluice/testkit/process'
import { processes } from '@sluice/testkit/sandbox'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** The files of a clone that `sluice start` needs. It keeps its state in the same folder. */
export type Clone = AsyncDisposable & {
  readonly dir: string
  start(options?: { env?: Record<string, string>; args?: string[] }): Started
  /** Runs one command of the CLI, in the environment of a person who has set nothing. */
  sluice(...args: string[]): Promise<{ code: number | string; output: string }>
  /** Every process whose arguments contain the folder of the clone. */
  processes(): string[]
}

type Started = Running & { ready(): Promise<Webhooks> }
/** The URL without the environment, and a credential for `live`. */
export type Webhooks = { url: string; token: string }

/** @param fresh its first start makes the database */
export async function makeClone({ fresh = false } = {}): Promise<Clone> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-clone-'))
  chmodSync(dir, 0o755)
  cpSync(join(ROOT, 'apps/cli/src'), join(dir, 'apps/cli/src'), { recursive: true })
  cpSync(join(ROOT, 'apps/cli/package.json'), join(dir, 'apps/cli/package.json'))
  symlinkSync(join(ROOT, 'apps/cli/node_modules'), join(dir, 'apps/cli/node_modules'))
  const state = join(dir, '.sluice')
  if (!fresh) {
    mkdirSync(state, { mode: 0o711 })
    if (await copyPostgresData(state)) {
      const secrets = `SLUICE_POSTGRES_PASSWORD='${POSTGRES_PASSWORD}'\n`
      writeFileSync(join(state, 'secrets'), secrets, { mode: 0o600 })
    }
  }
  const main = join(dir, 'apps/cli/src/main.ts')
  const starts: Running[] = []

  async function ready(start: Running): Promise<Webhooks> {
    const [, url = ''] = await start.printed(/curl -sS (\S+)\/live -K/)
    const [, token = ''] = /Bearer ([^"]+)/.exec(readFileSync(join(state, 'curl'), 'utf8')) ?? []
    if (start.output().includes(token)) throw new Error('the start printed its credential')
    return { url, token }
  }

  return {
    dir,
    start({ env = {}, args = [] } = {}) {
      const ports = { INGEST_PORT: '0', WORKER_PORT: '0', METRICS_PORT: '0', CONSOLE_PORT: '0' }
      const start = run(main, ['start', ...args], { ...ports, ...env }, { cwd: dir, channel: true })
      starts.push(start)
      return { ...start, ready: () => ready(start) }
    },
    async sluice(...args) {
      await using command = run(main, args, {}, { cwd: dir })
      return { code: await command.exited, output: command.output() }
    },
    processes: () => processes(dir),
    async [Symbol.asyncDispose]() {
      await Promise.all(starts.map((start) => start.stop(30_000)))
      await eventually(() => processes(dir).length === 0)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** @returns the status of the answer */
export async function postTo({ url, token }: Webhooks, bytes: Buffer): Promise<number> {
  const answer = await fetch(`${url}/live`, {
    method: 'POST',
    body: bytes as Buffer<ArrayBuffer>,
    headers: { authorization: `Bearer ${token}` },
  })
  await answer.arrayBuffer()
  return answer.status
}
