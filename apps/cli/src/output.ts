import { aligned } from '@sluice/shared/runtime'

// Every line for people passes through `plain`, because names, ids and messages come from others. A control character
// acts on a terminal, a line break forges a line, and a character that is invisible or reverses the direction of text
// hides text.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Makes text one line that is safe to print. Each character that would act is shown as its escape. */
function plain(text: string): string {
  return text.replace(UNSAFE, (character) => character.split('').map(escaped).join(''))
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Prints one line. */
export function print(line = ''): void {
  process.stdout.write(`${plain(line)}\n`)
}

/** Prints one line on standard error, which is for everything that is no result. */
export function complain(line: string): void {
  process.stderr.write(`${plain(line)}\n`)
}

const CLOSED_PIPE = 141

/**
 * Sets the exit code if the output cannot be written. A closed pipe (`| head`) is no error: nothing is said, and the
 * exit code is that of a program that SIGPIPE has ended. Anything else is an error. The command finishes its work in
 * both cases.
 */
export function outputFailed(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE' && process.exitCode !== 1)
    complain(`The output cannot be written (${error.code}).`)
  process.exitCode = error.code === 'EPIPE' ? CLOSED_PIPE : 1
}

/** Writes over the last line of a terminal. */
export function printProgress(line: string): void {
  process.stderr.write(`\r\x1b[K${plain(line)}`)
}

/** Prints bytes from outside with a mark before each line, so that no line can pass for one of Sluice's. */
export function printBody(raw: Buffer): void {
  for (const line of raw.toString('utf8').split(/\r?\n/)) print(`  | ${line}`)
}

/**
 * Prints one JSON document, with bytes as base64. The escapes of `plain` are JSON's own, so the value stays the same.
 */
export function printJson(value: unknown): void {
  const text = JSON.stringify(
    value,
    (_key, inner) => (isBuffer(inner) ? Buffer.from(inner.data).toString('base64') : inner),
    2,
  )
  for (const line of text.split('\n')) print(line)
}

function isBuffer(value: unknown): value is { type: 'Buffer'; data: number[] } {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as { type?: unknown }).type === 'Buffer' &&
    'data' in value
  )
}

/** Prints lines of `name  value`, without the values that are null. */
export function printFields(fields: Record<string, unknown>): void {
  const shown = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  for (const [name, value] of shown) print(`  ${name.padEnd(width)}  ${textOf(value)}`)
}

/** Prints rows under their column names, each column as wide as its widest value. */
export function printTable(rows: readonly Record<string, unknown>[]): void {
  const names = Object.keys(rows[0] ?? {})
  const lines = [names, ...rows.map((row) => names.map((name) => plain(textOf(row[name]))))]
  for (const line of aligned(lines)) print(line)
}

/** For example 1,204. */
export function grouped(count: number): string {
  return count.toLocaleString('en')
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (value instanceof Date) return value.toISOString()
  if (Buffer.isBuffer(value)) return value.toString('hex')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
