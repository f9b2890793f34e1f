import {
  type ActOutcome,
  type Db,
  type DeadLetterState,
  discardDeadLetter,
  getDeadLetter,
  listDeadLetters,
  replayDeadLetter,
} from '@sluice/shared/db'
import { decodeBody } from '@sluice/shared/idwise'
import { UserError } from '@sluice/shared/runtime'
import { Command, InvalidArgumentError, Option } from 'commander'
import { print, printBody, printFields, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

const STATES: DeadLetterState[] = ['open', 'replaying', 'resolved', 'discarded']

export function deadCommand(): Command {
  return new Command('dead')
    .description('look at events that could not be landed, send them again, or let them go')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(actCommand('replay', 'send dead letters through landing again', replayDeadLetter))
    .addCommand(
      actCommand('discard', 'end dead letters without landing them; they stay findable', discardDeadLetter),
    )
}

type ListOptions = { state: DeadLetterState | 'all'; limit: number; before?: number; json?: true }

function listCommand(): Command {
  return new Command('list')
    .description('list dead letters, newest first')
    .addOption(
      new Option('--state <state>', 'only those in this state').choices([...STATES, 'all']).default('open'),
    )
    .option('--limit <n>', 'at most so many', positiveNumber, 50)
    .option('--before <id>', 'only those older than this one, for the next page', wholeNumber)
    .option('--json', 'print JSON')
    .action(async ({ state, limit, before, json }: ListOptions) => {
      const letters = await withStores(({ db }) =>
        listDeadLetters(db, {
          ...(state !== 'all' && { state }),
          limit,
          ...(before !== undefined && { before }),
        }),
      )
      if (json) return printJson(letters)
      if (letters.length === 0)
        return print(state === 'all' ? 'No dead letters.' : `No dead letters are ${state}.`)
      printTable(
        letters.map(
          ({
            id,
            state,
            reason,
            environment,
            event,
            eventId,
            journeyId,
            attempts,
            lastFailedAt,
            errorMessage,
          }) => ({
            id,
            state,
            reason,
            environment,
            event,
            eventId,
            journeyId,
            attempts,
            lastFailedAt,
            error: errorMessage.slice(0, 80),
          }),
        ),
      )
    })
}

function showCommand(): Command {
  return new Command('show')
    .description('show one dead letter with its body')
    .argument('<id>', 'its number', wholeNumber)
    .option('--json', 'print JSON, with the raw bytes as base64')
    .action(async (id: number, { json }: { json?: true }) => {
      const letter = await withStores(({ db }) => getDeadLetter(db, id))
      if (!letter) throw new UserError(`There is no dead letter ${id}.`)
      if (json) return printJson(letter)
      const { raw, envelope: _envelope, deliveryId: _deliveryId, ...fields } = letter
      printFields({ ...fields, bytes: raw.length })
      printBody(decodeBody(raw) ?? raw)
    })
}

type Act = (db: Db, act: { id: number; actor: string; reason?: string }) => Promise<ActOutcome>

type ActOptions = { reason?: string; actor?: string; json?: true }

function actCommand(name: 'replay' | 'discard', description: string, act: Act): Command {
  return new Command(name)
    .description(description)
    .argument('<ids...>', 'their numbers', (text: string, before: number[] = []) => [
      ...before,
      wholeNumber(text),
    ])
    .option('--reason <text>', 'why, for the record')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', actorName)
    .option('--json', 'print JSON')
    .action(async (ids: number[], { reason, actor, json }: ActOptions) => {
      await withStores(async ({ db }) => {
        const results = []
        for (const id of ids) {
          const outcome = await act(db, { id, actor: actor ?? whoIsThis(), ...(reason && { reason }) })
          results.push({ id, ...outcome })
          if (outcome.kind !== 'done') process.exitCode = 1
          if (!json) print(inWords(name, id, outcome))
        }
        if (json) printJson(results)
      })
    })
}

function inWords(act: 'replay' | 'discard', id: number, outcome: ActOutcome): string {
  switch (outcome.kind) {
    case 'done':
      return act === 'replay'
        ? `${id}: on its way; \`sluice dead show ${id}\` tells how it ended.`
        : `${id}: discarded.`
    case 'not_open':
      return `${id}: is ${outcome.state} already; nothing was done.`
    case 'not_found':
      return `${id}: there is no such dead letter.`
    default:
      return outcome satisfies never
  }
}

function actorName(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must be a name.')
  return text.trim()
}

function positiveNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.')
  return Number(text)
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}
