import type { EventPlace } from '../../db/index.ts'

/** Where a page of a list ends, as the text of a link. */
export function writeCursor(place: EventPlace | number): string {
  const text = typeof place === 'number' ? String(place) : `${place.us}.${place.n}.${place.eventKey}`
  return Buffer.from(text).toString('base64url')
}

/** @returns undefined if the text is none that `writeCursor` has written */
export function readEventCursor(cursor: string): EventPlace | undefined {
  const [, us = '', n = '', eventKey = ''] =
    /^(\d{1,16})\.(\d{1,5})\.([0-9a-f]{64})$/.exec(textOf(cursor)) ?? []
  return eventKey === '' || Number(n) > 32_767 ? undefined : { us, n: Number(n), eventKey }
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
