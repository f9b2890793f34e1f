// npm and the shells that it puts in between may be ended without telling us: npm hands signals on to its shell alone,
// and nobody hands on kill -9.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

const LOOK_EVERY_MS = 500
const MOST = 10

/**
 * Notes which processes stand between this one and the outermost npm that runs it.
 *
 * @returns calls back, at most once, when one of them is gone; never where no npm runs it: then this process may well
 * outlive who has started it. The watch ends with the returned function.
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
    const found = look(pid)
    if (!found || !/npm|npx|yarn|\bsh\b|\b[a-z]+sh\b/.test(found.command)) break
    chain.push({ pid, parent: found.parent })
    if (/npm|npx|yarn/.test(found.command)) last = chain.length
    pid = found.parent
  }
  return chain.slice(0, last)
}

/** Who has started npm may go: that is how it is run in the background. */
function isAsNoted({ pid, parent }, index, { length }) {
  if (index === 0 && process.ppid !== pid) return false
  if (process.platform !== 'linux') return answers(pid)
  const now = look(pid)
  return now !== undefined && (index === length - 1 || now.parent === parent)
}

/** The parent and command line of a process; undefined where it is gone or a zombie. */
function look(pid) {
  try {
    if (process.platform !== 'linux') {
      const text = execFileSync('ps', ['-ww', '-o', 'ppid=,args=', '-p', String(pid)], { encoding: 'utf8' })
      const [, parent, command] = /^\s*(\d+)\s+(.*)/.exec(text) ?? []
      return parent && { parent: Number(parent), command }
    }
    // After the name, which is in parentheses and may have some itself, come the state and the parent.
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
