import { decodeBody } from '@sluice/shared/idwise'
import {
  type ActResult,
  actOnDeadLetters,
  DEAD_LETTER_STATES,
  type DeadLetterActName,
  type DeadLetterState,
  getDeadLetter,
  listDeadLetters,
} from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command, Option } from 'commander'
import { personName, wholeNumber, wholeNumberAboveZero } from '../arguments.ts'
import { print, printBody, printFields, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

export function deadCommand(): Command {
  return new Command('dead')
    .description('list, show, replay or discard the events that could not be landed')
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(actCommand('replay', 'send dead letters through landing again'))
    .addCommand(actCommand('discard', 'end dead letters without landing them; they can still be found'))
}

type ListOptions = { state: DeadLetterState | 'all'; limit: number; before?: number; json?: true }

function listCommand(): Command {
  return new Command('list')
    .description('list dead letters, newest first')
    .addOption(
      new Option('--state <state>', 'only those in this state')
        .choices([...DEAD_LETTER_STATES, 'all'])
        .default('open'),
    )
    .option('--limit <n>', 'at most so many', wholeNumberAboveZero, 50)
    .option('--before <id>', 'only those older than this one, for the next page', wholeNumber)
    .option('--json', 'print JSON')
    .action(async ({ state, limit, before, json }: ListOptions) => {
      const which = { state: state === 'all' ? undefined : state, limit, before }
      const letters = await withStores(({ db }) => listDeadLetters(db, which))
      if (json) return printJson(letters)
      if (letters.length === 0)
        return print(state === 'all' ? 'No dead letters.' : `No dead letters are ${state}.`)
      printTable(
        letters.map((letter) => ({
          id: letter.id,
          state: letter.state,
          reason: letter.reason,
          environment: letter.environment,
          event: letter.event,
          eventId: letter.eventId,
          journeyId: letter.journeyId,
          attempts: letter.attempts,
          lastFailedAt: letter.lastFailedAt,
          error: letter.errorMessage.slice(0, 80),
        })),
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

type ActOptions = { reason?: string; actor?: string; json?: true }

function actCommand(name: DeadLetterActName, description: string): Command {
  return new Command(name)
    .description(description)
    .argument('<ids...>', 'their numbers', (text: string, before: number[] = []) => [
      ...before,
      wholeNumber(text),
    ])
    .option('--reason <text>', 'why, for the record')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--json', 'print JSON')
    .action(async (ids: number[], { reason, actor = whoIsThis(), json }: ActOptions) => {
      await withStores(async ({ db }) => {
        const results = []
        for await (const result of actOnDeadLetters(db, name, { ids, actor, reason })) {
          results.push(result)
          if (result.kind !== 'done') process.exitCode = 1
          if (!json) print(describeResult(name, result))
        }
        if (json) printJson(results)
      })
    })
}

function describeResult(act: DeadLetterActName, result: ActResult): string {
  const { id } = result
  switch (result.kind) {
    case 'done':
      return act === 'replay'
        ? `${id}: on its way; \`sluice dead show ${id}\` shows how it ended.`
        : `${id}: discarded.`
    case 'not_open':
      return `${id}: is ${result.state} already; nothing was done.`
    case 'not_found':
      return `${id}: there is no such dead letter.`
    default:
      return result satisfies never
  }
}
