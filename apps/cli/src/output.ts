// Control characters, and those that turn the direction of text, could act on a terminal.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const UNSAFE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** Text that somebody else wrote, safe to print: what would act on a terminal is shown as its escape. */
export function plain(text: string): string {
  return text.replace(UNSAFE, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

/** Prints one JSON document on standard output; bytes as base64. */
export function printJson(value: unknown): void {
  const text = JSON.stringify(
    value,
    (_key, inner) => (isBuffer(inner) ? Buffer.from(inner.data).toString('base64') : inner),
    2,
  )
  process.stdout.write(`${plain(text)}\n`)
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

export function print(line = ''): void {
  process.stdout.write(`${plain(line)}\n`)
}

function textOf(value: unknown): string {
  if (value === null || value === undefined) return '-'
  if (value instanceof Date) return value.toISOString()
  if (Buffer.isBuffer(value)) return value.toString('hex')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
