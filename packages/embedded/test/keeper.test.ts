import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '@sluice/testkit/eventually'
import { makeRoot, processes, runModule } from '@sluice/testkit/sandbox'
import { expect, test } from 'vitest'
import { keep } from '../src/keeper.ts'

// A server that prints its pid, ends at SIGTERM with code 5, and does not read its input.
const SERVER =
  "process.on('SIGTERM', () => process.exit(5)); setInterval(() => {}, 1000); console.log(process.pid)"

test('a kept server ends when the process that keeps it is killed with SIGKILL', async () => {
  const root = makeRoot()
  const options = { command: process.execPath, args: ['-e', SERVER, root], stopSignal: 'SIGTERM', cwd: root }
  const { child } = await runModule(`
    import { keep } from 'packages/embedded/src/keeper.ts'
    keep({ ...${JSON.stringify(options)}, logFile: ${JSON.stringify(join(root, 'log'))} })
    console.log('kept')
    setInterval(() => {}, 1000)`)
  await eventually(() => readFileSync(join(root, 'log'), 'utf8') !== '')
  expect(processes(root)).not.toEqual([])

  child.kill('SIGKILL')

  await eventually(() => processes(root).length === 0)
})

test('stopping a kept server gives it its signal and leaves nothing behind', async () => {
  const root = makeRoot()
  const kept = keepServer(root, SERVER)
  await eventually(() => readFileSync(join(root, 'log'), 'utf8') !== '')

  await kept.stop(10_000)

  expect(await kept.exited).toBe(5)
  await eventually(() => processes(root).length === 0)
  expect(statSync(join(root, 'log')).mode & 0o777).toBe(0o600)
})

test('when a server ends without being asked, its exit code is known and its watcher ends too', async () => {
  const root = makeRoot()
  const kept = keepServer(root, 'process.exit(3)')

  expect(await kept.exited).toBe(3)
  await eventually(() => processes(root).length === 0)
})

test('a server that ignores its stop signal is killed at the limit', async () => {
  const root = makeRoot()
  const kept = keepServer(root, `process.on('SIGTERM', () => {}); ${SERVER.replace('process.exit(5)', '0')}`)
  await eventually(() => readFileSync(join(root, 'log'), 'utf8') !== '')

  await kept.stop(200)

  expect(await kept.exited).toBe(128 + 9)
})

function keepServer(root: string, source: string) {
  const args = ['-e', source, root]
  return keep({
    command: process.execPath,
    args,
    stopSignal: 'SIGTERM',
    logFile: join(root, 'log'),
    cwd: root,
  })
}
