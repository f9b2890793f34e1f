import { type DeadLetter, findEvent, inboxBacklog, type StoredEvent } from '@sluice/shared/db'
import { decodeBody } from '@sluice/shared/idwise'
import { Command } from 'commander'
import { print, printBody, printFields, printJson } from '../output.ts'
import { type Stores, withStores } from '../stores.ts'

export function eventCommand(): Command {
  return new Command('event')
    .description('show what became of one event')
    .argument('<id>', "the sender's event id, or the id that the ingest answered")
    .option('--json', 'print JSON, with the raw bytes as base64')
    .action(async (id: string, { json }: { json?: true }) => {
      await withStores(async (stores) => {
        const found = await findEvent(stores.db, id)
        const known = found.events.length + found.deadLetters.length > 0
        const waiting = known ? undefined : await countWaiting(stores)
        if (!known) process.exitCode = 1
        if (json) return printJson({ ...found, ...(waiting && { waiting }) })
        for (const event of found.events) printEvent(event)
        for (const letter of found.deadLetters) printLetter(letter)
        if (waiting) print(notFound(id, waiting))
      })
    })
}

type Waiting = { inbox: number; queue: number | null }

async function countWaiting({ db, queue }: Stores): Promise<Waiting> {
  const inbox = (await inboxBacklog(db.pool)).waiting
  if (!queue) return { inbox, queue: null }
  if (!(await queue.ready(2_000))) return { inbox, queue: null }
  const { waiting, active, delayed } = await queue.counts()
  return { inbox, queue: waiting + active + delayed }
}

function notFound(id: string, { inbox, queue }: Waiting): string {
  const places = `${inbox} in the inbox${queue === null ? '' : `, ${queue} in the queue`}`
  const waiting = inbox + (queue ?? 0)
  return waiting === 0
    ? `No event ${id} has landed, and none is waiting.`
    : `No event ${id} has landed. ${waiting} events are waiting (${places}); it may be one of them.`
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
