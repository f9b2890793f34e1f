import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@sluice/testkit/eventually'
import { makeRoot, processes, runModule } from '@sluice/testkit/sandbox'
import { expect, onTestFinished, test, vi } from 'vitest'
import { findRedis, startRedis } from '../src/redis.ts'
import { pingRedis, redis } from './stores.ts'

test('writes outlive kill -9 of everything, and the URL stays', async () => {
  const stateDir = makeState()
  const { child, line: url } = await runModule(await startIn(stateDir))
  await redis(url, 'SET kept 1')

  child.kill('SIGKILL')
  for (const pid of pidsOf(stateDir)) process.kill(pid, 'SIGKILL')

  const again = await start(stateDir)
  expect(await redis(again.url, 'GET kept')).toBe('$1\r\n1')
  expect(again.url).toBe(url)
})

test('a Redis whose watcher was killed too is stopped before a second one opens its files', {
  timeout: 30_000,
}, async () => {
  const stateDir = makeState()
  const { child, line: url } = await runModule(await startIn(stateDir))
  await redis(url, 'SET kept 1')
  const server = Number(readFileSync(join(stateDir, 'redis/redis.pid'), 'utf8'))
  for (const pid of pidsOf(stateDir)) if (pid !== server) process.kill(pid, 'SIGKILL')
  child.kill('SIGKILL')

  const again = await start(stateDir)

  expect(await redis(again.url, 'GET kept')).toBe('$1\r\n1')
  expect(pidsOf(stateDir)).not.toContain(server)
})

test('the private Redis syncs every write, evicts nothing and asks for its password', async () => {
  const { url } = await start(makeState())

  expect(await redis(url, 'CONFIG GET appendfsync')).toContain('always')
  expect(await redis(url, 'CONFIG GET appendonly')).toContain('yes')
  expect(await redis(url, 'CONFIG GET maxmemory-policy')).toContain('noeviction')
  await expect(pingRedis(url.replace(PASSWORD, 'wrong'))).rejects.toThrow(/NOAUTH|WRONGPASS/)
})

test('the password is in a file of the owner alone and in no command line', async () => {
  const stateDir = makeState()
  await start(stateDir)

  expect(statSync(join(stateDir, 'redis/redis.conf')).mode & 0o777).toBe(0o600)
  expect(processes(PASSWORD)).toEqual([])
})

test('a Redis that cannot read its data says so and names its log', async () => {
  const stateDir = makeState()
  const store = await start(stateDir)
  await redis(store.url, 'SET kept 1')
  await store.stop(10_000)
  const folder = join(stateDir, 'redis/appendonlydir')
  const base = readdirSync(folder).find((name) => name.endsWith('base.rdb')) ?? ''
  writeFileSync(join(folder, base), 'REDIS9999 of a later version')

  await expect(start(stateDir)).rejects.toThrow(/does not start: .*RDB format version 9999.*redis\.log/)
})

test('a Redis that is too old is passed over, and the reason is given', async () => {
  const bin = makeRoot()
  writeFileSync(join(bin, 'redis-server'), '#!/bin/sh\necho "Redis server v=6.0.16 sha=0 bits=64"\n')
  chmodSync(join(bin, 'redis-server'), 0o755)
  onTestFinished(() => void vi.unstubAllEnvs())
  vi.stubEnv('PATH', bin)
  expect(await findRedis()).toEqual({ reason: `${bin}/redis-server is Redis 6.0.16, older than 6.2` })

  writeFileSync(join(bin, 'valkey-server'), '#!/bin/sh\necho "Valkey server v=8.1.0 sha=0 bits=64"\n')
  chmodSync(join(bin, 'valkey-server'), 0o755)
  expect(await findRedis()).toEqual({ path: `${bin}/valkey-server`, version: '8.1.0' })

  vi.stubEnv('PATH', makeRoot())
  expect(await findRedis()).toEqual({ reason: 'no redis-server or valkey-server is installed' })
})

const PASSWORD = 'a-long-redis-password'

function makeState(): string {
  const stateDir = join(makeRoot(), '.sluice')
  mkdirSync(stateDir, { mode: 0o700 })
  onTestFinished(async () => void (await eventually(() => pidsOf(stateDir).length === 0)))
  return stateDir
}

async function start(stateDir: string) {
  const binary = await installed()
  const store = await startRedis({ stateDir, password: PASSWORD, binary, ping: pingRedis, report: () => {} })
  onTestFinished(() => store.stop(5_000))
  return store
}

async function startIn(stateDir: string): Promise<string> {
  const options = { stateDir, password: PASSWORD, binary: await installed() }
  return `
    import { startRedis } from 'packages/embedded/src/redis.ts'
    import { pingRedis as ping } from 'packages/embedded/test/stores.ts'
    console.log((await startRedis({ ...${JSON.stringify(options)}, ping, report() {} })).url)`
}

async function installed(): Promise<string> {
  const found = await findRedis()
  if ('reason' in found) throw new Error(found.reason)
  return found.path
}

/** The pids of the server and its watcher: both have the configuration file among their arguments. */
function pidsOf(stateDir: string): number[] {
  return processes(join(stateDir, 'redis/redis.conf')).map((line) => Number.parseInt(line, 10))
}
