import { randomUUID } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, statSync, utimes } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const BEAT_MS = 1_000
const STALE_MS = 10_000

/**
 * Waits until this process holds the lock at `path`, and returns the function that releases it. The exit of the
 * process releases it too. `onWait` is called once if another process holds the lock. The lock is a directory that
 * its owner touches every second, so a lock that kill -9 left behind is recognised by its age.
 */
export async function takeLock(path, onWait) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  for (let waited = false; !tryLock(path); waited = true) {
    if (!waited) onWait()
    await delay(250)
  }
  const beat = setInterval(() => utimes(path, new Date(), new Date(), () => {}), BEAT_MS)
  const release = () => {
    clearInterval(beat)
    process.off('exit', release)
    rmSync(path, { recursive: true, force: true })
  }
  process.once('exit', release)
  return release
}

function tryLock(path) {
  try {
    mkdirSync(path)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    const touched = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now()
    if (Date.now() - touched > STALE_MS) takeAway(path)
    return false
  }
}

/** Renames the lock first, so that only one of several waiters removes it. */
function takeAway(path) {
  const stale = `${path}.${randomUUID()}`
  try {
    renameSync(path, stale)
    rmSync(stale, { recursive: true, force: true })
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
}
