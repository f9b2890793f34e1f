import type { EventPlace } from '../../db/index.ts'

/** Where a page of events ends; in a list with dead letters, also the number of the last of these. */
export type ListPlace = { readonly event: EventPlace; readonly letter?: number | undefined }

/** Where a page of a list ends, as the text of a link. A list of dead letters alone ends at a number. */
export function writeCursor(place: ListPlace | number): string {
  return Buffer.from(typeof place === 'number' ? String(place) : textOfPlace(place)).toString('base64url')
}

function textOfPlace({ event: { us, n, eventKey }, letter }: ListPlace): string {
  return [us, n, eventKey, ...(letter === undefined ? [] : [letter])].join('.')
}

/** @returns undefined if the text is none that `writeCursor` has written */
export function readEventCursor(cursor: string): ListPlace | undefined {
  const [, us = '', n = '', eventKey = '', letter] =
    /^(\d{1,16})\.(\d{1,5})\.([0-9a-f]{64})(?:\.(\d{1,15}))?$/.exec(textOf(cursor)) ?? []
  if (eventKey === '' || Number(n) > 32_767) return undefined
  return { event: { us, n: Number(n), eventKey }, letter: letter === undefined ? undefined : Number(letter) }
}

/** @returns undefined if the text is none that `writeCursor` has written */
export function readLetterCursor(cursor: string): number | undefined {
  const text = textOf(cursor)
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

function textOf(cursor: string): string {
  const bytes = Buffer.from(cursor, 'base64url')
  return bytes.toString('base64url') === cursor ? bytes.toString('latin1') : ''
}
