// Plain JavaScript without dependencies: it runs on the Node.js that the machine has, which may not be able to read
// env files.
import { readFileSync } from 'node:fs'

const NAME = /^(?:export\s+)?([A-Za-z_][\w.-]*)\s*(?:=\s*|$)/

/**
 * Reads a file of `NAME=value` lines as `docker compose` reads it: a `#` begins a comment only after a blank, and a
 * quoted value may have several lines. A line that `docker compose` would read in another way is an error.
 *
 * @throws Error whose message names the line, if the file is not text or a line is not a setting
 */
export function readEnvFile(path) {
  const text = decode(readFileSync(path), path)
  const values = {}
  for (let at = 0, line = 1; at < text.length; ) {
    const end = (text.indexOf('\n', at) + 1 || text.length + 1) - 1
    const found = readLine(text, at, end)
    if (typeof found === 'string') throw new Error(`${path}, line ${line}: ${found}`)
    if (found.name !== undefined) values[found.name] = found.value
    line += text.slice(at, found.next).split('\n').length - 1
    at = found.next
  }
  return values
}

/** Programs on Windows write UTF-16, and a byte order mark. */
function decode(bytes, path) {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8'
  try {
    // The decoder removes the byte order mark.
    const text = new TextDecoder(encoding, { fatal: true }).decode(bytes)
    if (!text.includes('\0')) return text.replace(/\r\n?/g, '\n')
  } catch {
    // The error below says so.
  }
  throw new Error(`${path} is not text in UTF-8. Save it as UTF-8.`)
}

/**
 * Reads one line. Returns a setting, or none, with `next`, the position of the next line; or a string that says what
 * is wrong.
 */
function readLine(text, at, end) {
  const line = text.slice(at, end).trim()
  if (line === '' || line.startsWith('#')) return { next: end + 1 }
  const start = text.slice(at, end).search(/\S/) + at
  const [head, name] = NAME.exec(text.slice(start, end)) ?? []
  if (!name) return 'is not a setting of the form NAME=value'
  // docker compose takes the value of a bare name from the environment, which has precedence anyway.
  if (!head.includes('=')) return { next: end + 1 }
  const quote = text[start + head.length]
  if (quote === '"' || quote === "'" || quote === '`') return readQuoted(text, start + head.length, name)
  const value = text.slice(start + head.length, end).replace(/(^|\s)#.*$/, '')
  return { name, value: value.trim(), next: end + 1 }
}

function readQuoted(text, open, name) {
  const quote = text[open]
  const close = text.indexOf(quote, open + 1)
  if (close < 0) return `the quote before the value of ${name} is not closed`
  const end = (text.indexOf('\n', close) + 1 || text.length + 1) - 1
  if (!/^\s*(#.*)?$/.test(text.slice(close + 1, end))) {
    return `something follows the quoted value of ${name}; percent-encode a quote in a secret (%22, %27)`
  }
  const value = text.slice(open + 1, close)
  return { name, value: quote === '"' ? value.replaceAll('\\n', '\n') : value, next: end + 1 }
}
