import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually } from '@sluice/testkit/eventually'
import { makeRoot } from '@sluice/testkit/sandbox'
import { expect, it, onTestFinished } from 'vitest'

const LINEAGE = fileURLToPath(new URL('../../../scripts/lineage.mjs', import.meta.url))

/** A package whose command prints its pid and runs until one of its ancestors ends. */
function makePackage(): string {
  const root = makeRoot()
  const bin = {
    name: 'lasting',
    version: '1.0.0',
    bin: 'lasting.mjs',
    scripts: { start: 'sh -c "node lasting.mjs; :"' },
  }
  writeFileSync(join(root, 'package.json'), JSON.stringify(bin))
  const source = `#!/usr/bin/env node
    import { noteLineage } from '${LINEAGE}'
    noteLineage()(() => process.exit(0))
    setInterval(() => {}, 1000)
    console.log('pid', process.pid)`
  writeFileSync(join(root, 'lasting.mjs'), source, { mode: 0o755 })
  return root
}

async function start(
  command: string,
  args: string[],
  root: string,
): Promise<{ child: ChildProcess; pid: number }> {
  const env = {
    PATH: process.env.PATH,
    npm_config_cache: join(root, 'cache'),
    npm_config_update_notifier: 'false',
  }
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  for await (const chunk of child.stdout as NodeJS.ReadableStream) {
    text += chunk
    const [, pid] = /pid (\d+)\n/.exec(text) ?? []
    if (pid) return { child, pid: Number(pid) }
  }
  throw new Error(`${command} ended: ${text}`)
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

it.each([
  ['npx', ['lasting'], 'SIGTERM'],
  ['npx', ['lasting'], 'SIGKILL'],
  ['npm', ['start'], 'SIGTERM'],
  ['npm', ['start'], 'SIGKILL'],
] as const)('the command of %s %j ends when only npm gets a signal, %s', async (command, args, signal) => {
  const { child, pid } = await start(command, [...args], makePackage())
  expect(runs(pid)).toBe(true)
  child.kill(signal)
  await once(child, 'exit')
  await eventually(() => !runs(pid))
})
