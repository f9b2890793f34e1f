import { execFile } from 'node:child_process'
import { constants, getPriority } from 'node:os'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const { PRIORITY_BELOW_NORMAL, PRIORITY_LOW } = constants.priority

/** The priorities of all threads of a process that has lowered its own, from `before`. */
async function prioritiesFrom(before: number): Promise<number[]> {
  const script = `
    import { readdirSync, readFileSync } from 'node:fs'
    import { setPriority } from 'node:os'
    import { lowerPriority } from '${new URL('../src/runtime/process.ts', import.meta.url)}'
    const threads = readdirSync('/proc/self/task')
    for (const thread of threads) setPriority(Number(thread), ${before})
    lowerPriority()
    // "pid (name) state ppid …": nice is the 19th.
    const nice = (stat) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
    console.log(JSON.stringify(threads.map((thread) => nice(readFileSync('/proc/self/task/' + thread + '/stat', 'utf8')))))`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
  return JSON.parse(stdout)
}

it.runIf(process.platform === 'linux')(
  'every thread goes behind the usual priority, and none that is further behind comes forward',
  async () => {
    const usual = getPriority()
    const lowered = await prioritiesFrom(usual)
    expect(lowered.length).toBeGreaterThan(1)
    expect(new Set(lowered)).toEqual(new Set([Math.max(usual, PRIORITY_BELOW_NORMAL)]))
    expect(new Set(await prioritiesFrom(PRIORITY_LOW))).toEqual(new Set([PRIORITY_LOW]))
  },
)
