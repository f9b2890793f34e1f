// Everything that a command writes for people goes through `plain`, since names, ids and messages were written by others:
// control characters act on a terminal, a line break makes a line of its own, and what has no width or turns the direction
// of text hides what stands there.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** Text that somebody else wrote as one line that is safe to print: what would act is shown as its escape. */
export function plain(text: string): string {
  return text.replace(UNSAFE, (character) => character.split('').map(escaped).join(''))
}

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Prints one line, whatever is in it. */
export function print(line = ''): void {
  process.stdout.write(`${plain(line)}\n`)
}

/** The same on standard error, for what is no result. */
export function complain(line: string): void {
  process.stderr.write(`${plain(line)}\n`)
}

const CLOSED_PIPE = 141

/**
 * What is left to do when the output cannot be written: whoever read it and has enough (`| head`) hears nothing more,
 * and gets the exit code of a program that SIGPIPE has ended; all else is an error. An act under way is finished.
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

/** Prints bytes that somebody sent, with a mark before each line, so that none can pass for one of ours. */
export function printBody(raw: Buffer): void {
  for (const line of raw.toString('utf8').split(/\r?\n/)) print(`  | ${line}`)
}

/** Prints one JSON document on standard output; bytes as base64. The escapes are those of JSON: it says the same. */
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

/** Prints lines of `name  value`, leaving out what is null. */
export function printFields(fields: Record<string, unknown>): void {
  const shown = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
  const width = Math.max(...shown.map(([name]) => name.length))
  for (const [name, value] of shown) print(`  ${name.padEnd(width)}  ${textOf(value)}`)
}

/** Prints rows under their column names, each column as wide as its widest value. */
export function printTable(rows: readonly Record<string, unknown>[]): void {
  const names = Object.keys(rows[0] ?? {})
  const lines = [names, ...rows.map((row) => names.map((name) => plain(textOf(row[name]))))]
  const widths = names.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  for (const line of lines)
    print(
      line
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (value instanceof Date) return value.toISOString()
  if (Buffer.isBuffer(value)) return value.toString('hex')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
