// npm and the shells between it and this process may end unnoticed: npm passes signals on to its own shell only, and
// kill -9 cannot be passed on at all.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const LOOK_EVERY_MS = 500
const MOST = 10

/**
 * Notes the processes between this one and the outermost npm that runs it.
 *
 * @returns a function that starts a watch: it calls back once when one of these processes has ended, and returns a
 * function that ends the watch. If no npm runs this process, it never calls back, because the process may outlive its
 * parent then.
 */
export function noteLineage() {
  const noted = process.env.npm_execpath ? upToNpm() : []
  return function whenBroken(callback) {
    if (noted.length === 0) return () => {}
    const timer = setInterval(() => {
      if (noted.every(isAsNoted)) return
      clearInterval(timer)
      callback()
    }, LOOK_EVERY_MS)
    return () => clearInterval(timer)
  }
}

function upToNpm() {
  const chain = []
  let last = 0
  for (let pid = process.ppid; pid > 1 && chain.length < MOST; ) {
    const found = inspect(pid)
    if (!found || !/npm|npx|yarn|\bsh\b|\b[a-z]+sh\b/.test(found.command)) break
    chain.push({ pid, parent: found.parent })
    if (/npm|npx|yarn/.test(found.command)) last = chain.length
    pid = found.parent
  }
  return chain.slice(0, last)
}

/** The parent of npm may end: that happens whenever npm runs in the background. */
function isAsNoted({ pid, parent }, index, { length }) {
  if (index === 0 && process.ppid !== pid) return false
  if (process.platform !== 'linux') return answers(pid)
  const now = inspect(pid)
  return now !== undefined && (index === length - 1 || now.parent === parent)
}

/** The parent and command line of a process; undefined if it has ended or is a zombie. */
function inspect(pid) {
  try {
    if (process.platform !== 'linux') {
      const text = execFileSync('ps', ['-ww', '-o', 'ppid=,args=', '-p', String(pid)], { encoding: 'utf8' })
      const [, parent, command] = /^\s*(\d+)\s+(.*)/.exec(text) ?? []
      return parent && { parent: Number(parent), command }
    }
    // The state and the parent follow the name, which is in parentheses and may contain parentheses itself.
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .split(/^.*\) /s)[1]
      .split(' ')
    if (state === 'Z' || state === 'X') return undefined
    return { parent: Number(parent), command: readFileSync(`/proc/${pid}/cmdline`, 'latin1') }
  } catch {
    return undefined
  }
}

function answers(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
