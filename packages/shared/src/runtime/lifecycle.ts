import { UserError } from './errors.ts'
import type { Log } from './log.ts'

/**
 * Runs one process: starts it, waits for SIGINT, SIGTERM, SIGHUP or the death of the parent process, and then disposes
 * what `start` has returned, within `graceMs`.
 *
 * The exit code is 0 after a signal. It is 1 if the start failed, an error was fatal or the grace was too short.
 */
export async function runUntilSignal(
  start: (stop: AbortController) => Promise<AsyncDisposable>,
  { log, graceMs }: { log: Pick<Log, 'info' | 'fatal'>; graceMs: number },
): Promise<void> {
  const stop = new AbortController()
  // The same signal can come twice: from the terminal to the whole group, and passed on by a parent.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort(signal))
  process.on('disconnect', () => stop.abort('parent died'))
  process.on('uncaughtException', (error) => fail(error, log))
  process.on('unhandledRejection', (error) => fail(error, log))

  let running: AsyncDisposable
  try {
    running = await start(stop)
  } catch (error) {
    if (stop.signal.aborted) return leave()
    return fail(error, log)
  }
  if (!stop.signal.aborted) {
    await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }))
  }
  const { reason } = stop.signal
  if (typeof reason === 'string') log.info({ reason }, 'stopping')
  const limit = setTimeout(() => {
    log.fatal({ graceMs }, 'not everything has stopped in time; the process ends')
    process.exit(1)
  }, graceMs)
  await running[Symbol.asyncDispose]()
  clearTimeout(limit)
  if (typeof reason !== 'string') return fail(reason, log)
  log.info('stopped')
  leave()
  // Everything is released. A timer that a library has left behind must not keep the process alive.
  setTimeout(() => process.exit(0), 500).unref()
}

/** Ends the channel to a parent: it would keep the process alive. */
function leave(): void {
  if (process.connected) process.disconnect()
}

function fail(error: unknown, log: Pick<Log, 'fatal'>): void {
  if (error instanceof UserError) process.stderr.write(`${error.message}\n`)
  else log.fatal({ err: error, at: stackOf(error) }, 'fatal error')
  // The streams are synchronous. No event is lost: an event is answered only after a store has acknowledged it.
  process.exit(1)
}

/** The place of the error, without its message, which may contain a row. */
function stackOf(error: unknown): string | undefined {
  const lines =
    error instanceof Error ? error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) : undefined
  return lines
    ?.slice(0, 4)
    .map((line) => line.trim())
    .join(' < ')
}
