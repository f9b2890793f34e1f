// What is invisible, reverses the direction of text, or is half of a character.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** A text of others in one line: what would hide or turn around a part of it is shown as its escape. */
export function shown(text: string, most = 300): string {
  const visible = text.replace(HIDDEN, escaped)
  return visible.length > most ? `${visible.slice(0, most)}…` : visible
}

/** The same for a text of many lines. */
export function shownLines(text: string, most: number): { text: string; isCut: boolean } {
  const visible = text
    .slice(0, most)
    .replace(HIDDEN, (character) => (/[\n\t]/.test(character) ? character : escaped(character)))
  return { text: visible, isCut: text.length > most }
}

function escaped(character: string): string {
  return character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
}
