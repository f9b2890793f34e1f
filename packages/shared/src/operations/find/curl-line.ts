import { isUtf8 } from 'node:buffer'

/** A longer body is written as base64, so that the line can be pasted. */
const MOST_READABLE = 8_000
// What a terminal would act upon, or would not show.
const UNSAFE = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/u

/**
 * A line for a shell that sends the same bytes again: to a made-up address and without a credential, which the person
 * fills in.
 *
 * @param contentType as it was received
 */
export function curlLine(raw: Buffer, environment: string, contentType: unknown): string {
  const type = typeof contentType === 'string' ? contentType.replace(/[^\x20-\x7e]/g, '') : 'application/json'
  const options = [
    `-H ${shellWord('Authorization: Bearer YOUR-CREDENTIAL')}`,
    `-H ${shellWord(`Content-Type: ${type}`)}`,
    shellWord(`https://YOUR-SLUICE.example/webhooks/idwise/${environment}`),
  ].join(' ')
  const text = isUtf8(raw) ? raw.toString() : undefined
  // Unlike the other options for data, --data-raw reads no file if the text begins with @.
  if (text !== undefined && text.length <= MOST_READABLE && !UNSAFE.test(text)) {
    return `curl -sS -X POST --data-raw ${shellWord(text)} ${options}`
  }
  return `printf %s ${shellWord(raw.toString('base64'))} | base64 -d | curl -sS -X POST --data-binary @- ${options}`
}

/** One word of a shell: within single quotes, only these themselves have a meaning. */
export function shellWord(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
