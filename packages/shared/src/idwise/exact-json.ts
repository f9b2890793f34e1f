import { endOfString, QUOTE, readJson } from './json.ts'

/** A JSON document as it was sent: every digit of its numbers, and each of two equal keys. */
export type ExactJson =
  | { readonly kind: 'object'; readonly members: readonly Member[] }
  | { readonly kind: 'array'; readonly items: readonly ExactJson[] }
  /** `text` as it was sent, with its quotes and escapes. */
  | { readonly kind: 'scalar'; readonly text: string }

type Member = { readonly key: string; readonly keyText: string; readonly value: ExactJson }

/** @returns undefined if the bytes are none that `readJson` takes */
export function parseExact(raw: Buffer | string): ExactJson | undefined {
  const document = readJson(raw)
  return document && readValue(document.text, { at: 0 })
}

/** One value of a text that is valid JSON, at most 64 levels deep. */
function readValue(text: string, place: { at: number }): ExactJson {
  skipBlanks(text, place)
  const start = place.at
  if (text[start] === '{') return { kind: 'object', members: readAll(text, place, '}', readMember) }
  if (text[start] === '[') return { kind: 'array', items: readAll(text, place, ']', readValue) }
  if (text.charCodeAt(start) === QUOTE) place.at = endOfString(text, start) + 1
  else while (place.at < text.length && !/[,\]}\s]/.test(text[place.at] as string)) place.at++
  return { kind: 'scalar', text: text.slice(start, place.at) }
}

function readAll<Item>(
  text: string,
  place: { at: number },
  end: string,
  read: (text: string, place: { at: number }) => Item,
): Item[] {
  const items: Item[] = []
  for (place.at++; ; place.at++) {
    skipBlanks(text, place)
    if (text[place.at] === end) break
    items.push(read(text, place))
    skipBlanks(text, place)
    if (text[place.at] === end) break
  }
  place.at++
  return items
}

function readMember(text: string, place: { at: number }): Member {
  const start = place.at
  place.at = endOfString(text, start) + 1
  const keyText = text.slice(start, place.at)
  skipBlanks(text, place)
  place.at++
  return { key: JSON.parse(keyText), keyText, value: readValue(text, place) }
}

function skipBlanks(text: string, place: { at: number }): void {
  while (/\s/.test(text[place.at] ?? '')) place.at++
}

/** The document as text: in lines, or in one line if `indent` is undefined. */
export function writeExact(json: ExactJson, indent?: string, level = ''): string {
  if (json.kind === 'scalar') return json.text
  const inner = indent === undefined ? '' : level + indent
  const colon = indent === undefined ? ':' : ': '
  const parts =
    json.kind === 'array'
      ? json.items.map((item) => writeExact(item, indent, inner))
      : json.members.map(({ keyText, value }) => keyText + colon + writeExact(value, indent, inner))
  const [open, close] = json.kind === 'array' ? '[]' : '{}'
  if (parts.length === 0) return `${open}${close}`
  return indent === undefined
    ? `${open}${parts.join(',')}${close}`
    : `${open}\n${parts.map((part) => inner + part).join(',\n')}\n${level}${close}`
}
