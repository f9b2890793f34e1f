import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { makeRoot, runModule } from '@sluice/testkit/sandbox'
import { afterEach, expect, test } from 'vitest'
import { ensureSecrets, readEnv, writeEnv } from '../src/start/env-file.ts'
import { openState } from '../src/start/state.ts'

const home = process.cwd()
afterEach(() => process.chdir(home))

test('a second start in the same clone is refused and names the process that runs', async () => {
  const root = makeRoot()
  await using _state = await openState(root)

  const { line } = await runModule(tryToOpen(root))

  expect(line).toBe(
    `Sluice is already running here (process ${process.pid}). Stop it first, or start a second clone.`,
  )
})

test('a start that was killed does not block the next one', async () => {
  const root = makeRoot()
  const { child, line } = await runModule(`${tryToOpen(root)}; setInterval(() => {}, 1000)`)
  expect(line).toBe('opened')
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  expect(existsSync(join(root, '.sluice/lock'))).toBe(true)

  await using state = await openState(root)

  expect(state.dir).toBe(join(root, '.sluice'))
})

test('a clone in a very deep directory can be locked', async () => {
  const root = join(makeRoot(), 'deep'.repeat(50))
  mkdirSync(root)

  await using state = await openState(root)

  expect(statSync(state.dir).mode & 0o777).toBe(0o700)
})

test('secrets are made once and kept, and none that is there is replaced', async () => {
  const root = makeRoot()
  await writeEnv(root, { IDWISE_LIVE_CREDENTIALS: 'basic:mine:own', OTHER: 'a b $c "d" #e' }, 'secrets')

  const first = await ensureSecrets(root, ['live', 'uae-live'])
  const second = await ensureSecrets(root, ['live', 'uae-live'])

  expect(second).toEqual(first)
  expect(first).toMatchObject({ IDWISE_LIVE_CREDENTIALS: 'basic:mine:own', OTHER: 'a b $c "d" #e' })
  expect(first.IDWISE_UAE_LIVE_CREDENTIALS).toMatch(/^bearer:[\w-]{43}$/)
  expect(statSync(join(root, 'secrets')).mode & 0o777).toBe(0o600)
})

test('a shell and Node.js read the env file alike', async () => {
  const root = makeRoot()
  await writeEnv(root, { TRICKY: 'a b $HOME `id` "q" \\n #x' })

  const shell = execFileSync('/bin/sh', ['-c', '. "$1/env"; printf %s "$TRICKY"', 'sh', root], {
    encoding: 'utf8',
  })
  const print = ['-p', 'process.env.TRICKY']
  const node = execFileSync(process.execPath, [`--env-file=${root}/env`, ...print], { encoding: 'utf8' })

  expect(shell).toBe('a b $HOME `id` "q" \\n #x')
  expect(node.replace(/\n$/, '')).toBe(shell)
  expect(await readEnv(root)).toEqual({ TRICKY: shell })
})

function tryToOpen(root: string): string {
  return `import { openState } from 'apps/cli/src/start/state.ts'
    await openState(${JSON.stringify(root)}).then(() => console.log('opened'), (error) => console.log(error.message))`
}
