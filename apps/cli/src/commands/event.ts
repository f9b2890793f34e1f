import { readFile } from 'node:fs/promises'
import { decodeBody } from '@sluice/shared/idwise'
import {
  type Backlog,
  checkEventReceipt,
  type DeadLetter,
  type GoneEvent,
  lookUpEvent,
  type StoredEvent,
} from '@sluice/shared/operations'
import { describeError, UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { print, printBody, printFields, printJson } from '../output.ts'
import { withStores } from '../stores.ts'

export function eventCommand(): Command {
  return new Command('event')
    .description('show what became of one event')
    .argument('[id]', "IDWise's event id, or the id in the answer of the ingest")
    .option('--receipt <file>', 'check a receipt that the console wrote: needs no database, and no id')
    .option('--json', 'print JSON, with the raw bytes as base64')
    .action(async (id: string | undefined, { receipt, json }: { receipt?: string; json?: true }) => {
      if ((id === undefined) === (receipt === undefined))
        throw new UserError('Name an event, or a receipt with --receipt.')
      if (receipt !== undefined) return checkReceipt(receipt, json)
      if (id === undefined) return
      const found = await withStores((stores) => lookUpEvent(stores, id))
      if (found.waiting) process.exitCode = 1
      if (json) return printJson(found)
      for (const event of found.events) printEvent(event)
      for (const event of found.gone) print(describeGone(event))
      for (const letter of found.deadLetters) printLetter(letter)
      if (found.waiting) print(describeMissing(id, found.waiting))
    })
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

function describeMissing(id: string, { inbox, queue }: Backlog): string {
  const places = `${inbox} in the inbox${queue === null ? '' : `, ${queue} in the queue`}`
  const waiting = inbox + (queue ?? 0)
  return waiting === 0
    ? `No event ${id} has landed, and none is waiting.`
    : `No event ${id} has landed. ${waiting} events are waiting (${places}); it may be one of them.`
}

function describeGone({ eventKey, landedAt, because }: GoneEvent): string {
  const why = because === 'missing' ? 'its row was deleted by hand' : because
  return `Event ${eventKey}… landed on ${landedAt.toISOString()}, no longer stored (${why})`
}

function printEvent(event: StoredEvent): void {
  print(`${event.event ?? '(no event name)'} · ${event.environment}`)
  const { raw, body: _body, eventKey, bodySha256, request, deliveryId: _deliveryId, ...fields } = event
  printFields({ ...fields, eventKey, bodySha256, request, bytes: raw.length })
  printBody(decodeBody(raw) ?? raw)
  print()
}

function printLetter(letter: DeadLetter): void {
  print(`Dead letter ${letter.id} (${letter.state}): ${letter.reason}: ${letter.errorMessage}`)
  print(`  sluice dead show ${letter.id}`)
}
