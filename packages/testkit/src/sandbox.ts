import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, lstatSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

const ROOT = new URL('../../../', import.meta.url).href

/** A folder for one test, removed at its end. With mode 0700 no other user can enter it. */
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
 * Runs the text of a module in a new Node.js process. It may import files by their path from the root of the clone.
 * Resolves to the process and its first line of output.
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

/** The command lines of all processes that contain `text`, except those of `runModule`. */
export function processes(text: string): string[] {
  const { stdout } = spawnSync('ps', ['-ww', '-A', '-o', 'pid=,args='], { encoding: 'utf8' })
  return stdout.split('\n').filter((line) => line.includes(text) && !line.includes('--input-type=module'))
}
