import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, lstatSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const ROOT = new URL('../../../', import.meta.url).href

/** A clone's root of the test's own, removed at its end. With mode 0700 a system user cannot enter it. */
export function makeRoot(mode = 0o755): string {
  const root = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  chmodSync(root, mode)
  onTestFinished(() => {
    const data = join(root, '.sluice/postgres')
    if (lstatSync(data, { throwIfNoEntry: false })?.isSymbolicLink() && existsSync(data)) {
      rmSync(realpathSync(data), { recursive: true, force: true })
    }
    rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  })
  return root
}

/**
 * Runs a module's text in a Node.js process of its own; it may import files by their path from the clone's root. Resolves
 * to the process and its first line of output.
 */
export async function runModule(text: string): Promise<{ child: ChildProcess; line: string }> {
  const source = text.replaceAll(/'((?:apps|packages)\/)/g, `'${ROOT}$1`)
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = await once(child.stdout as NodeJS.ReadableStream, 'data')
  return { child, line: String(line).trim() }
}

export async function waitUntil(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const limit = Date.now() + 15_000; !(await condition()); await new Promise((r) => setTimeout(r, 20))) {
    if (Date.now() > limit) throw new Error(`waited in vain until ${what}`)
  }
}

/** The command lines of all processes that mention `text`, this one and its own helpers excepted. */
export function processes(text: string): string[] {
  const { stdout } = spawnSync('ps', ['-ww', '-A', '-o', 'pid=,args='], { encoding: 'utf8' })
  return stdout.split('\n').filter((line) => line.includes(text) && !line.includes('--input-type=module'))
}
