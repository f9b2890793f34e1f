import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@sluice/testkit/eventually'
import { makeRoot, processes, runModule } from '@sluice/testkit/sandbox'
import { expect, onTestFinished, test } from 'vitest'
import { startPostgres } from '../src/postgres.ts'
import { pingPostgres, query } from './stores.ts'

// As the folders of root: the user of Postgres cannot enter them.
const PRIVATE = 0o700
const OPEN = 0o755

test.for([
  ['open', OPEN],
  ['private', PRIVATE],
] as const)('events outlive kill -9 of everything (%s directory)', { timeout: 60_000 }, async ([, mode]) => {
  const stateDir = makeState(mode)
  const { child, line: url } = await runModule(startIn(stateDir))
  await query(url, 'create table kept (n int)')
  await query(url, 'insert into kept select generate_series(1, 1000)')

  child.kill('SIGKILL')
  for (const pid of pidsOf(stateDir)) process.kill(pid, 'SIGKILL')

  const again = await start(stateDir)
  expect(await query(again.url, 'select count(*)::int as n from kept')).toEqual([{ n: 1000 }])
  expect(again.url).toBe(url)
})

test('Postgres stops with the process that started it, and a new start waits for that', {
  timeout: 60_000,
}, async () => {
  const stateDir = makeState()
  const { child, line: url } = await runModule(startIn(stateDir))
  await query(url, 'create table kept ()')

  child.kill('SIGKILL')

  const again = await start(stateDir)
  expect(await query(again.url, 'select * from kept')).toEqual([])
})

test('a Postgres whose watcher was killed too is stopped by the next start', {
  timeout: 60_000,
}, async () => {
  const stateDir = makeState()
  const { child, line: url } = await runModule(startIn(stateDir))
  await query(url, 'create table kept ()')
  for (const pid of pidsOf(stateDir)) if (pid !== postmaster(stateDir)) process.kill(pid, 'SIGKILL')
  child.kill('SIGKILL')

  const again = await start(stateDir)

  expect(await query(again.url, 'select * from kept')).toEqual([])
})

test('a pid that another process has by now does not keep Postgres from starting', {
  timeout: 60_000,
}, async () => {
  const stateDir = makeState()
  const first = await start(stateDir)
  const lockFile = readFileSync(join(stateDir, 'postgres/postmaster.pid'), 'utf8')
  await first.stop(10_000)
  const other = await runModule("console.log('up'); setInterval(() => {}, 1000)")
  writeFileSync(join(stateDir, 'postgres/postmaster.pid'), lockFile.replace(/^\d+/, String(other.child.pid)))

  const again = await start(stateDir)

  await pingPostgres(again.url)
})

test('a first start that was interrupted is begun anew', { timeout: 60_000 }, async () => {
  const stateDir = makeState()
  mkdirSync(join(stateDir, 'postgres.new'))
  writeFileSync(join(stateDir, 'postgres.new/PG_VERSION'), '18\n')

  const store = await start(stateDir)

  await pingPostgres(store.url)
  expect(readdirSync(stateDir).toSorted()).toEqual(['postgres', 'postgres.log', 'postgres.port'])
})

test('data of another major version is refused in words', async () => {
  const stateDir = makeState()
  mkdirSync(join(stateDir, 'postgres'))
  writeFileSync(join(stateDir, 'postgres/PG_VERSION'), '9.6\n')

  await expect(start(stateDir)).rejects.toThrow(/is of Postgres 9\.6, this Sluice brings Postgres \d+/)
})

test('a failing start gives the reason and the log, neither of which holds a row or a statement', {
  timeout: 60_000,
}, async () => {
  const stateDir = makeState()
  const store = await start(stateDir)
  await query(store.url, "create table t (n int not null, s text); insert into t values (1, 'x')")
  await expect(query(store.url, "insert into t values (null, 'a secret')")).rejects.toThrow()
  await store.stop(10_000)
  writeFileSync(join(stateDir, 'postgres/postgresql.auto.conf'), 'no_such_setting = 1\n')

  await expect(start(stateDir)).rejects.toThrow(/does not start: .*"no_such_setting".*postgres\.log/)
  expect(readFileSync(join(stateDir, 'postgres.log'), 'utf8')).not.toContain('secret')
})

const PASSWORD = 'a-password'

function makeState(mode?: number): string {
  const stateDir = join(makeRoot(mode), '.sluice')
  mkdirSync(stateDir, { mode: 0o700 })
  onTestFinished(async () => void (await eventually(() => pidsOf(stateDir).length === 0)))
  return stateDir
}

async function start(stateDir: string) {
  const store = await startPostgres({ stateDir, password: PASSWORD, ping: pingPostgres, report: () => {} })
  onTestFinished(() => store.stop(5_000))
  return store
}

function startIn(stateDir: string): string {
  return `
    import { startPostgres } from 'packages/embedded/src/postgres.ts'
    import { pingPostgres as ping } from 'packages/embedded/test/stores.ts'
    const options = { stateDir: ${JSON.stringify(stateDir)}, password: '${PASSWORD}', report() {} }
    console.log((await startPostgres({ ...options, ping })).url)`
}

/** The pids of the postmaster and its watcher: both have the folder of the data among their arguments. */
function pidsOf(stateDir: string): number[] {
  const data = join(stateDir, 'postgres')
  const places = existsSync(data) ? [data, realpathSync(data)] : [data]
  return [...new Set(places.flatMap(processes))].map((line) => Number.parseInt(line, 10))
}

function postmaster(stateDir: string): number {
  return Number.parseInt(readFileSync(join(stateDir, 'postgres/postmaster.pid'), 'utf8'), 10)
}
