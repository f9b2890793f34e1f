import { readFileSync } from 'node:fs'
import type * as z from 'zod'
import { errorCode } from './errors.ts'
import { every } from './every.ts'
import type { Log } from './log.ts'
import { type Env, readSettings, SettingsError } from './settings.ts'

const EVERY_MS = 1_000

/**
 * Reads the files of settings again while a process runs, so that a secret can be replaced without a restart. Files are
 * read and compared, since Kubernetes swaps a link instead of writing a file, and some file systems keep the time.
 * A new content counts once two readings in a row have found it, since somebody may still be writing it. If it is
 * wrong, the log says so once, and what was right before stays.
 *
 * @param shape settings that may come from a file; those that do not are not watched
 * @param changed is called with all of them after each change, and once at the start, since a file may have changed
 *   after the process had read its settings
 */
export function watchSettings<Shape extends z.ZodObject>(
  env: Env,
  shape: Shape,
  { changed, log }: { changed(settings: z.output<Shape>): void; log: Pick<Log, 'info' | 'warn'> },
): AsyncDisposable {
  const names = Object.keys(shape.shape).filter((name) => env[`${name}_FILE`])
  if (names.length === 0) return { async [Symbol.asyncDispose]() {} }
  const paths = names.map((name) => env[`${name}_FILE`] as string)
  const read = () => paths.map(contentOf).join('\0')
  let seen = read()
  let used = seen

  function use(): boolean {
    try {
      changed(readSettings(env, shape))
      return true
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      log.warn({ problems: error.problems }, 'a changed secret cannot be used; the one before stays in use')
      return false
    }
  }
  function round(): void {
    const found = read()
    const isSettled = found === seen
    seen = found
    if (!isSettled || found === used) return
    used = found
    if (use()) log.info({ settings: names }, 'secrets were read again')
  }
  use()
  return every(EVERY_MS, round, {
    pauseFirst: true,
    onError: (error) => log.warn({ error: errorCode(error) }, 'secrets cannot be read again'),
  })
}

/** A file that cannot be read has a content of its own, so that the log names it once. */
function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return `\0${errorCode(error)}`
  }
}
