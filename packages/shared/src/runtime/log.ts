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

const MAX_WAITING_CHARACTERS = 1 << 20

/** A disk that is full, or a reader that is gone, ends no process: lines wait up to a limit, and are dropped beyond it. */
function standardOutput(): DestinationStream {
  return pino.destination({ dest: 1, sync: true, maxLength: MAX_WAITING_CHARACTERS }).on('error', () => {})
}
