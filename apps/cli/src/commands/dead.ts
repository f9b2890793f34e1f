import { decodeBody } from '@sluice/shared/idwise'
import {
  compareConflict,
  countDeadLetters,
  DEAD_LETTER_STATES,
  type DeadLetterState,
  findGroups,
  getDeadLetter,
  keepsFirst,
  type LetterFailure,
  listActions,
  listDeadLetters,
} from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command, Option } from 'commander'
import { wholeNumber, wholeNumberAboveZero } from '../arguments.ts'
import { grouped, print, printBody, printFields, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'
import { printActs } from './audit.ts'
import { printChanges } from './changes.ts'
import { actCommand } from './dead-acts.ts'
import { addFilterOptions, type FilterOptions, filterOf } from './dead-filter.ts'
import { describeAct, describePast } from './operations.ts'

export function deadCommand(): Command {
  return new Command('dead')
    .description('group, list, show, replay or discard the events that could not be landed')
    .addCommand(groupsCommand())
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(actCommand('replay', 'send dead letters through landing again'))
    .addCommand(actCommand('discard', 'end dead letters without landing them; they can still be found'))
    .addCommand(actCommand('undo', 'open discarded dead letters again'))
}

function groupsCommand(): Command {
  return new Command('groups')
    .description('group the open dead letters by what they failed with, the largest group first')
    .option('--limit <n>', 'at most so many', wholeNumberAboveZero, 20)
    .option('--json', 'print JSON')
    .action(async ({ limit, json }: { limit: number; json?: true }) => {
      const found = await withStores(({ db }) => findGroups(db, limit))
      if (json) return printJson(found)
      if (found.groups.length === 0) return print('No dead letters are open.')
      const atLeast = found.isAtLeast ? 'at least ' : ''
      print(`${atLeast}${grouped(found.letters)} open dead letters in ${grouped(found.total)} groups`)
      for (const { fingerprint, count, journeys, firstFailedAt, lastFailedAt, ...group } of found.groups) {
        const { reason, errorMessage, event } = group.example
        print()
        print(`${fingerprint}  ${grouped(count)} letters of ${grouped(journeys)} journeys · ${reason}`)
        print(`  ${event ?? '(no event name)'}: ${errorMessage.slice(0, 200)}`)
        print(`  failed from ${firstFailedAt.toISOString()} to ${lastFailedAt.toISOString()}`)
        for (const operation of group.past) print(`  ${describePast(operation)}`)
        for (const act of group.acts) print(`  ${describeAct(act)}`)
        if (group.runbook) print(`  ${group.runbook}`)
        print(`  npx sluice dead replay --group ${fingerprint}`)
      }
    })
}

type ListOptions = FilterOptions & {
  state: DeadLetterState | 'all'
  limit: number
  before?: number
  json?: true
}

function listCommand(): Command {
  const command = new Command('list')
    .description('list dead letters, newest first')
    .addOption(
      new Option('--state <state>', 'only those in this state')
        .choices([...DEAD_LETTER_STATES, 'all'])
        .default('open'),
    )
    .option('--limit <n>', 'at most so many', wholeNumberAboveZero, 50)
    .option('--before <id>', 'only those older than this one, for the next page', wholeNumber)
    .option('--json', 'print JSON')
  return addFilterOptions(command).action(async ({ state, limit, before, json, ...options }: ListOptions) => {
    const which = { state: state === 'all' ? undefined : state, filter: filterOf(options) }
    const [letters, total] = await withStores(({ db }) =>
      Promise.all([listDeadLetters(db, { ...which, limit, before }), countDeadLetters(db, which)]),
    )
    if (json) return printJson(letters)
    if (letters.length === 0) {
      const such = Object.keys(which.filter).length > 0 ? 'such dead letters' : 'dead letters'
      return print(state === 'all' ? `No ${such}.` : `No ${such} are ${state}.`)
    }
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
    const atLeast = total.isAtLeast ? 'at least ' : ''
    print(`${grouped(letters.length)} of ${atLeast}${grouped(total.count)}`)
  })
}

const MOST_ACTS = 50

function showCommand(): Command {
  return new Command('show')
    .description('show one dead letter with its body, and what people did to it')
    .argument('<id>', 'its number', wholeNumber)
    .option('--json', 'print JSON, with the raw bytes as base64')
    .action(async (id: number, { json }: { json?: true }) => {
      const [letter, conflict, acts] = await withStores(async (stores) => {
        const letter = await getDeadLetter(stores.db, id)
        if (!letter) throw new UserError(`There is no dead letter ${id}.`)
        const conflict = await compareConflict(stores, letter)
        const target = `dead_letter ${id}`
        return [letter, conflict, await listActions(stores.db, { target }, { limit: MOST_ACTS })] as const
      })
      if (json) return printJson({ ...letter, conflict, acts })
      const { raw, failures, envelope: _envelope, deliveryId: _deliveryId, ...fields } = letter
      printFields({ ...fields, bytes: raw.length })
      print('Failures, the newest first:')
      for (const failure of failures) print(describeFailure(failure))
      if (!keepsFirst(letter))
        print(`  ${letter.firstFailedAt.toISOString()}  the first one; its error is not kept`)
      printActs('Acts:', acts)
      if (conflict?.kind === 'gone') print('What has landed under its id is not stored any more.')
      if (conflict?.kind === 'compared') {
        print(`Compared with what has landed (npx sluice event ${conflict.eventKey}):`)
        printChanges(conflict)
      }
      printBody(decodeBody(raw) ?? raw)
    })
}

function describeFailure({ failedAt, reason, errorClass, errorMessage }: LetterFailure): string {
  return `  ${failedAt.toISOString()}  ${reason}: ${errorMessage} (${errorClass})`
}
