import { writeSync } from 'node:fs'
import { type DestinationStream, type Logger, pino } from 'pino'
import { describeError } from './errors.ts'

export type Log = Logger

/**
 * Writes JSON lines to standard output. Callers log ids and counts, never bodies or headers; the redaction here is a
 * second line of defence. Errors are logged without a stack and with a shortened message, because the message of a
 * driver can contain a row.
 */
export function createLog(name: string, level: string, destination?: DestinationStream): Log {
  const options = {
    name,
    // An unknown level is reported later, with the other wrong settings; that needs a log.
    level: Object.hasOwn(pino.levels.values, level) ? level : 'info',
    base: { name, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: describeError },
    redact: {
      paths: ['authorization', 'cookie', 'password', '*.authorization', '*.cookie', '*.password'],
      censor: '[secret]',
    },
  }
  return pino(options, destination ?? standardOutput())
}

const MAX_WAITING_BYTES = 1 << 20

/**
 * A full disk, or a reader that is slow or gone, neither ends nor blocks the process: bytes that cannot be written wait
 * for the next line, up to a limit. (The destination of pino tries for ever before a fatal line.)
 */
function standardOutput(): DestinationStream {
  let waiting = Buffer.alloc(0)
  return {
    write(line) {
      if (waiting.length < MAX_WAITING_BYTES) waiting = Buffer.concat([waiting, Buffer.from(line)])
      try {
        waiting = waiting.subarray(writeSync(1, waiting))
      } catch {
        // Tried again with the next line.
      }
    },
  }
}
