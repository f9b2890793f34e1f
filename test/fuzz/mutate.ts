import type { Random } from '@sluice/simulator'
import { HEADERS } from './corpus.ts'

const MAX_BYTES = 600_000

/** Changes a request (Latin-1 text) in up to eight ways. The same random values make the same changes. */
export function mutate(text: string, random: Random, another: () => string): string {
  const times = random.weighted({ none: 15, one: 35, few: 35, many: 15 })
  const count = { none: 0, one: 1, few: 2 + random.below(2), many: 4 + random.below(5) }[times]
  let mutated = text
  for (let i = 0; i < count; i++) {
    mutated = random.pick(MUTATIONS)(mutated, random, another).slice(0, MAX_BYTES)
  }
  return mutated
}

type Mutation = (text: string, random: Random, another: () => string) => string

const SPECIAL = [
  ...['\0', '\r', '\n', '\r\n', '\r\n\r\n', '\r\n ', '\t', ' ', ':', ';', ',', '"', '%00', '%2f'],
  ...['\x01', '\x0b', '\x7f', '\x80', '\xff', 'chunked', 'HTTP/1.1'],
] as unknown as readonly [string, ...string[]]

const LENGTHS = [
  ...['', '0', '1', '-1', '+2', '0x10', '1e3', '2 2', '2,2', '2;', '\t2', '007', '262144', '262145'],
  ...['4294967296', '9007199254740993', '18446744073709551617', '9'.repeat(400)],
] as unknown as readonly [string, ...string[]]

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'CONNECT', 'M-SEARCH', 'P\0ST', '', 'x'.repeat(300)] as const
const TARGETS = ['*', '/', '/livez', '/webhooks/idwise/live/../sandbox', 'http://[::1', '/\xff', '?'] as const

const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  flipBits,
  flipBits,
  (text, random) => text.slice(0, random.below(text.length + 1)),
  (text, random) => cut(text, place(text, random), random.below(40), ''),
  (text, random) => cut(text, place(text, random), 0, random.pick(SPECIAL)),
  (text, random) => cut(text, place(text, random), random.below(3), random.pick(SPECIAL)),
  // Pipelined, joined at a cut, one inside the other.
  (text, _random, another) => text + another(),
  (text, random, another) =>
    text.slice(0, place(text, random)) + another().slice(random.below(another().length)),
  (text, random, another) => cut(text, random.below(text.length + 1), 0, another()),
  changeLength,
  chunk,
  recase,
  (text, random) => onMatch(text, /\d+/g, random, () => random.pick(LENGTHS)),
  (text, random) => grow(text, random),
  changeLines((lines, at) => lines.splice(at, 0, lines[at] as string)),
  changeLines((lines, at) => lines.splice(at, 1)),
  changeLines((lines, at, random) => lines.splice(random.below(lines.length), 0, ...lines.splice(at, 1))),
  changeLines((lines, at, random) => lines.splice(at, 0, ...Array(1 + random.below(150)).fill(lines[at]))),
  changeLines((lines, _at, random) =>
    lines.splice(1, 0, random.pick(HEADERS as unknown as readonly [string])),
  ),
  (text, random) => text.replace(/^\S*/, random.pick(METHODS)),
  (text, random) => text.replace(/ \S*/, ` ${random.pick(TARGETS)}`),
  (text, random) => onMatch(text, /\r\n/g, random, () => random.pick(['\n', '\r', '\r\r\n', '\n\r'])),
]

/** A place, mostly in the head, which matters more. */
function place(text: string, random: Random): number {
  const head = text.indexOf('\r\n\r\n')
  return random.below((head > 0 && random.chance(0.8) ? head + 20 : text.length) + 1)
}

function cut(text: string, at: number, length: number, insert: string): string {
  return text.slice(0, at) + insert + text.slice(at + length)
}

function flipBits(text: string, random: Random): string {
  let flipped = text
  for (let i = random.below(6); i >= 0; i--) {
    const at = place(text, random)
    const byte = flipped.charCodeAt(at)
    if (at < flipped.length) flipped = cut(flipped, at, 1, String.fromCharCode(byte ^ (1 << random.below(8))))
  }
  return flipped
}

function changeLength(text: string, random: Random): string {
  const header = /(content-length: *)(\d*)/i
  const change = (digits: string) =>
    random.chance(0.5) ? random.pick(LENGTHS) : String(Number(digits) + random.below(5) - 2)
  return header.test(text)
    ? text.replace(header, (_, name, digits) => name + change(digits))
    : text.replace('\r\n', `\r\nContent-Length: ${random.pick(LENGTHS)}\r\n`)
}

/** Sends the body in chunks, with or without a header of its length. */
function chunk(text: string, random: Random): string {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return text
  const head = random.chance(0.9)
    ? text.slice(0, end).replace(/\r\ncontent-length:[^\r]*/i, '')
    : text.slice(0, end)
  let body = ''
  for (let rest = text.slice(end + 4); rest !== ''; ) {
    const size = 1 + random.below(Math.min(rest.length, random.pick([8, 500, 70_000])))
    const digits = size.toString(16).padStart(random.below(4), '0')
    body += `${digits}${random.chance(0.1) ? ';name="value"' : ''}\r\n${rest.slice(0, size)}\r\n`
    rest = rest.slice(size)
  }
  const trailer = random.chance(0.1) ? 'X-Trailer: y\r\n' : ''
  return `${head}\r\nTransfer-Encoding: chunked\r\n\r\n${body}0\r\n${trailer}\r\n`
}

function recase(text: string, random: Random): string {
  const end = text.indexOf('\r\n\r\n')
  const head = end < 0 ? text : text.slice(0, end)
  const other = [...head].map((letter) => (random.chance(0.5) ? letter.toUpperCase() : letter.toLowerCase()))
  return other.join('').slice(0, head.length) + text.slice(head.length)
}

function onMatch(text: string, pattern: RegExp, random: Random, replace: () => string): string {
  const matches = [...text.slice(0, 10_000).matchAll(pattern)]
  const match = matches[random.below(matches.length)]
  return match ? cut(text, match.index, match[0].length, replace()) : text
}

function grow(text: string, random: Random): string {
  const at = place(text, random)
  const piece = text.slice(at, at + 1 + random.below(30))
  return cut(text, at, 0, piece.repeat(random.pick([2, 20, 500, 5_000])))
}

function changeLines(change: (lines: string[], at: number, random: Random) => void): Mutation {
  return (text, random) => {
    const end = text.indexOf('\r\n\r\n')
    const lines = text.slice(0, end < 0 ? text.length : end).split('\r\n')
    change(lines, random.below(lines.length), random)
    return lines.join('\r\n') + (end < 0 ? '' : text.slice(end))
  }
}
