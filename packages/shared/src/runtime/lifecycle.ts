import { UserError } from './errors.ts'
import type { Log } from './log.ts'

/**
 * Runs one process: starts it, waits for SIGINT, SIGTERM, SIGHUP or the death of the process that spawned it, then
 * releases what `start` acquired, last in first out, within `graceMs`.
 *
 * The exit code is 0 after a signal, 1 where starting failed, something fatal happened or the grace ran out.
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
    log.fatal({ graceMs }, 'not everything stopped in time; leaving it')
    process.exit(1)
  }, graceMs)
  await running[Symbol.asyncDispose]()
  clearTimeout(limit)
  if (typeof reason !== 'string') return fail(reason, log)
  log.info('stopped')
  leave()
  // Everything is released; a timer that a library has left behind must not hold the process.
  setTimeout(() => process.exit(0), 500).unref()
}

/** Ends the channel to a parent, which would keep the process alive. */
function leave(): void {
  if (process.connected) process.disconnect()
}

function fail(error: unknown, log: Pick<Log, 'fatal'>): void {
  if (error instanceof UserError) process.stderr.write(`${error.message}\n`)
  else log.fatal({ err: error, at: stackOf(error) }, 'fatal error')
  // The streams are synchronous here, and what is half done is safe: stores acknowledge before anybody is told.
  process.exit(1)
}

/** Where it happened, without the message, which may carry a row. */
function stackOf(error: unknown): string | undefined {
  const lines =
    error instanceof Error ? error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) : undefined
  return lines
    ?.slice(0, 4)
    .map((line) => line.trim())
    .join(' < ')
}
