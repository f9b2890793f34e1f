import { readFile, writeFile } from 'node:fs/promises'
import { toEventReply } from '@sluice/console'
import { decodeBody } from '@sluice/shared/idwise'
import {
  type Backlog,
  checkEventReceipt,
  type DeadLetter,
  type EventPage,
  type FoundEvents,
  lookUpEvent,
  type Moment,
  type PreviousEvent,
  span,
  writeEventReceipt,
} from '@sluice/shared/operations'
import { describeError, UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { print, printBody, printFields, printJson } from '../output.ts'
import { withStores } from '../stores.ts'
import { printChanges } from './changes.ts'

type EventOptions = { receipt?: string; curl?: true; json?: true }

export function eventCommand(): Command {
  return new Command('event')
    .description('show what became of one event, when, and how its body differs from the one before')
    .argument('[id]', "IDWise's event id, or the id in the answer of the ingest")
    .option(
      '--receipt <file>',
      "write a receipt for the sender's support to a new file; without an id, check the receipt in a file (needs no database)",
    )
    .option('--curl', 'print only a line for a shell that sends the same bytes again')
    .option('--json', 'print JSON as the API does, with the raw bytes as base64')
    .action(async (id: string | undefined, { receipt, curl, json }: EventOptions) => {
      if (id === undefined && receipt !== undefined) return checkReceipt(receipt, json)
      if (id === undefined) throw new UserError('Name an event, or a receipt with --receipt.')
      const found = await withStores((stores) => lookUpEvent(stores, id))
      if (receipt !== undefined) return writeReceipt(receipt, onlyPage(found, id), json)
      if (curl) return printCurl(onlyPage(found, id))
      const { pages, ...others } = found
      if (!pages.some(hasArrived) && others.deadLetters.length === 0) process.exitCode = 1
      if (json) return printJson({ events: pages.map(toEventReply), ...others })
      for (const page of pages) printPage(page)
      for (const letter of others.deadLetters) printLetter(letter)
      if (found.waiting) print(describeMissing(id, found.waiting))
    })
}

/** An event that waits, or was refused, may still land. */
function hasArrived({ event, gone, letters }: EventPage): boolean {
  return event !== null || gone !== null || letters.length > 0
}

async function checkReceipt(file: string, json?: true): Promise<void> {
  const text = await readFile(file, 'utf8').catch((error) => {
    throw new UserError(`The file ${file} cannot be read (${describeError(error).message}).`)
  })
  const check = checkEventReceipt(text)
  if (check.kind === 'wrong') process.exitCode = 1
  if (json) return printJson(check)
  if (check.kind === 'wrong') for (const line of check.words) print(line)
  else {
    const { bytes: _, ...fields } = check.receipt
    print(`The receipt agrees with itself: ${check.event ?? '(no event name)'}, ${check.bytes} bytes.`)
    if (fields.landedAt === null) print('The event had not landed when it was written.')
    printFields(fields)
  }
}

/** @throws UserError if there is none, or more than one */
function onlyPage({ pages }: FoundEvents, id: string): EventPage {
  const [page, second] = pages
  if (!page) throw new UserError(`No event ${id} is stored.`)
  if (!second) return page
  const keys = pages.map(({ eventKey }) => `  ${eventKey}`).join('\n')
  throw new UserError(`${pages.length} events have this id. Name one by its key:\n${keys}`)
}

async function writeReceipt(file: string, { received, eventKey }: EventPage, json?: true): Promise<void> {
  if (!received) throw new UserError('The bytes of this event are not stored: it was refused, or is gone.')
  const receipt = writeEventReceipt(received)
  const text = `${JSON.stringify(receipt, null, 2)}\n`
  await writeFile(file, text, { flag: 'wx', mode: 0o600 }).catch((error) => {
    throw new UserError(`The file ${file} cannot be written (${describeError(error).message}).`)
  })
  if (json) return printJson(receipt)
  print(`The receipt of event ${eventKey} is in ${file}.`)
}

function printCurl({ body }: EventPage): void {
  if (!body) throw new UserError('The bytes of this event are not here.')
  // A body with line breaks stays as it is, within its quotes.
  for (const line of body.curl.split('\n')) print(line)
}

function printPage({ eventKey, event, gone, waiting, refusal, letters, ...page }: EventPage): void {
  const known = event ?? waiting ?? refusal ?? letters[0]
  if (known) print(`${known.event ?? '(no event name)'} · ${known.environment ?? '-'}`)
  if (gone) {
    const why = gone.because === 'missing' ? 'its row was deleted by hand' : gone.because
    print(`Event ${eventKey}… landed on ${gone.landedAt.toISOString()}, no longer stored (${why})`)
  }
  const { raw: _raw, deliveryId: _deliveryId, bodySha256, isBytesOnly, ...fields } = event ?? {}
  const notes = { bodySha256, bytes: page.body?.raw.length, bytesOnly: isBytesOnly || null }
  if (known) printFields({ ...fields, eventKey, ...notes })
  print()
  printTimeline(page.timeline)
  for (const { id } of letters) print(`  npx sluice dead show ${id}`)
  print()
  if (page.previous) printPrevious(page.previous)
  if (page.body) printBody(decodeBody(page.body.raw) ?? page.body.raw)
  print()
}

const NO_TIME = '-'.padEnd(24)

function printTimeline(moments: readonly Moment[]): void {
  for (const { at, words, sinceMs } of moments) {
    const gap = sinceMs === null ? '' : `+${sinceMs < 1_000 ? `${sinceMs} ms` : span(sinceMs)}`
    print(`  ${at?.toISOString() ?? NO_TIME}  ${gap.padEnd(7)}  ${words}`)
  }
}

function printPrevious({ eventKey, event, receivedAt, ...differs }: PreviousEvent): void {
  print(`Since the journey's event before, ${event ?? '(no event name)'} of ${receivedAt.toISOString()}:`)
  printChanges(differs)
  print(`  npx sluice event ${eventKey}`)
}

function describeMissing(id: string, { inbox, queue }: Backlog): string {
  const places = `${inbox} in the inbox${queue === null ? '' : `, ${queue} in the queue`}`
  const waiting = inbox + (queue ?? 0)
  return waiting === 0
    ? `No event ${id} has landed, and none is waiting.`
    : `No event ${id} has landed. ${waiting} events are waiting (${places}); it may be one of them.`
}

function printLetter(letter: DeadLetter): void {
  print(`Dead letter ${letter.id} (${letter.state}): ${letter.reason}: ${letter.errorMessage}`)
  print(`  npx sluice dead show ${letter.id}`)
}
