import { existsSync, readFileSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { UserError } from '@sluice/shared/runtime'
import type { Kept } from './keeper.ts'
import { freePort } from './port.ts'
import { writeWhole } from './write-whole.ts'

/** A store that runs as long as this process does. */
export type Store = Kept & { url: string }

/** Resolves if the store at the URL answers and has loaded its data, else rejects. */
export type Ping = (url: string) => Promise<void>

export type ServerOptions = {
  name: string
  /** Keeps the port, so that the URL stays the same if possible. */
  portFile: string
  logFile: string
  launch(port: number): Kept | Promise<Kept>
  url(port: number): string
  ping: Ping
  /** Gets a line for a person when the start takes long. */
  report(text: string): void
  /** Failures in the log that end without help: the start is tried again. */
  passing?: RegExp
  /** Explains a known failure to a person; undefined for any other. */
  explain?(error: unknown): string | undefined
}

const RETRY_MS = 15_000
const SLOW_MS = 5_000
// Recovery after a crash and reading a large append-only file may take long.
const READY_LIMIT_MS = 15 * 60_000
const POLL_MS = 50
const STOP_MS = 10_000

/**
 * Starts a server on a free port of 127.0.0.1 and waits until it answers.
 *
 * @throws UserError with the reason in its log if it does not
 */
export async function startServer(options: ServerOptions): Promise<Store> {
  const { name, logFile, portFile, passing } = options
  let preferred = existsSync(portFile) ? Number(readFileSync(portFile, 'utf8')) : undefined
  for (const limit = Date.now() + RETRY_MS; ; await delay(500)) {
    const port = await freePort(preferred)
    const logged = existsSync(logFile) ? statSync(logFile).size : 0
    const kept = await options.launch(port)
    if (await becomesReady(kept, options.url(port), options)) {
      await writeWhole(portFile, String(port))
      return { ...kept, url: options.url(port) }
    }
    const log = (await readFile(logFile)).subarray(logged).toString()
    const taken = /address already in use/i.test(log)
    if (taken) preferred = undefined
    if ((taken || passing?.test(log)) && Date.now() < limit) continue
    throw new UserError(`${name} does not start: ${lastWords(log)} (its log: ${logFile})`)
  }
}

/** @returns false if the server ended instead */
async function becomesReady(kept: Kept, url: string, options: ServerOptions): Promise<boolean> {
  let ended = false
  void kept.exited.then(() => {
    ended = true
  })
  const slow = setTimeout(() => options.report(`${options.name} is still reading its data …`), SLOW_MS)
  try {
    for (
      const limit = Date.now() + READY_LIMIT_MS;
      !ended;
      await Promise.race([delay(POLL_MS), kept.exited])
    ) {
      const answer = await Promise.race([
        options.ping(url).then(() => 'ready' as const, toError),
        kept.exited,
      ])
      if (answer === 'ready') return true
      const explained = answer instanceof Error ? options.explain?.(answer) : undefined
      if (explained || Date.now() > limit) {
        await kept.stop(STOP_MS)
        throw new UserError(explained ?? `${options.name} does not answer (its log: ${options.logFile})`)
      }
    }
    return false
  } finally {
    clearTimeout(slow)
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

/** The first line about a failure, which has the cause, and the last, which has the consequence, without times. */
function lastWords(log: string): string {
  const lines = log
    .split('\n')
    .filter(
      (line) => /FATAL|PANIC|error|fail|can't|unrecogni/i.test(line) && !/WARNING|starting up/.test(line),
    )
    .map((line) => line.replace(/^.*? (?=FATAL:|PANIC:|ERROR:|LOG:)|^\d+:\w .*? [*#.-] /, '').trim())
  return [...new Set([...lines.slice(0, 1), ...lines.slice(-1)])].join('; ') || 'it says nothing'
}
