import { writeSync } from 'node:fs'
import { type DestinationStream, type Logger, pino } from 'pino'
import { describeError } from './errors.ts'

export type Log = Logger

/**
 * JSON lines on standard output. Call sites pass ids and counts, never bodies or headers; the redaction here is the
 * net under that rule. Errors are logged without stack and with a shortened message, since a driver's message can
 * carry a row.
 */
export function createLog(name: string, level: string, destination?: DestinationStream): Log {
  const options = {
    name,
    // An unknown level is reported with the other wrong settings, which needs a log.
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
 * A disk that is full, or a reader that is gone or slow, ends and holds up no process: what cannot be written waits for
 * the next line, up to a limit. (pino's own destination tries for ever before a fatal line.)
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
