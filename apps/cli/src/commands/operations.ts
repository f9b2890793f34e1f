import {
  listDeadLetters,
  listOperations,
  type Operation,
  readOperation,
  type SingleAct,
  STEERING_NAMES,
  type SteeringName,
  steeringOf,
  steerOperation,
} from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { personName, wholeNumber, wholeNumberAboveZero } from '../arguments.ts'
import { grouped, print, printFields, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

const STEERING: Readonly<Record<SteeringName, string>> = {
  go: 'let an operation go on after its sample',
  pause: 'let an operation wait',
  resume: 'let a paused operation go on',
  cancel: 'end an operation; what it has done stays',
}

export function operationsCommand(): Command {
  const command = new Command('operations')
    .description('list, show and steer the replays and discards of many dead letters')
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(showCommand())
  for (const name of STEERING_NAMES) command.addCommand(steerCommand(name))
  return command
}

function listCommand(): Command {
  return new Command('list')
    .description('list operations, newest first')
    .option('--limit <n>', 'at most so many', wholeNumberAboveZero, 20)
    .option('--before <id>', 'only those older than this one, for the next page', wholeNumber)
    .option('--json', 'print JSON')
    .action(async ({ limit, before, json }: { limit: number; before?: number; json?: true }) => {
      const operations = await withStores(({ db }) => listOperations(db, { limit, before }))
      if (json) return printJson(operations)
      if (operations.length === 0) return print('No operations.')
      printTable(
        operations.map(({ id, kind, state, taken, expected, landed, failed, actor, createdAt, reason }) => ({
          ...{ id, kind, state, taken, of: expected, landed, failed, actor, createdAt },
          reason: reason.slice(0, 60),
        })),
      )
    })
}

const FAILURES = 50

function showCommand(): Command {
  return new Command('show')
    .description('show one operation, how far it is, and what failed again')
    .argument('<id>', 'its number', wholeNumber)
    .option('--json', 'print JSON')
    .action(async (id: number, { json }: { json?: true }) => {
      const { operation, failures } = await withStores(async ({ db }) => ({
        operation: await readOperation(db, id),
        failures: await listDeadLetters(db, { state: 'open', filter: { operation: id }, limit: FAILURES }),
      }))
      if (!operation) throw new UserError(`There is no operation ${id}.`)
      const failed = operation.kind === 'replay' ? failures : []
      if (json) return printJson({ ...operation, failures: failed })
      print(`${operation.kind}: ${operation.words}`)
      const { filter, kind: _kind, words: _words, lastId: _lastId, dueAt: _dueAt, ...fields } = operation
      printFields({ ...fields, filter })
      for (const { id: letter, errorMessage } of failed) print(`  ${letter}: ${errorMessage.slice(0, 120)}`)
      for (const name of steeringOf(operation.state)) print(`  npx sluice operations ${name} ${id}`)
    })
}

type SteerOptions = { reason?: string; actor?: string; json?: true }

function steerCommand(name: SteeringName): Command {
  return new Command(name)
    .description(STEERING[name])
    .argument('<id>', 'its number', wholeNumber)
    .option('--reason <text>', 'why, for the record')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--json', 'print JSON')
    .action(async (id: number, { reason, actor = whoIsThis(), json }: SteerOptions) => {
      const outcome = await withStores(({ db }) => steerOperation(db, name, { id, actor, reason }))
      if (outcome.kind !== 'done') process.exitCode = 1
      if (json) return printJson(outcome)
      switch (outcome.kind) {
        case 'done':
          return print(`Operation ${id}: ${name}.`)
        case 'not_possible':
          return print(`Operation ${id} is ${outcome.state}; nothing was done.`)
        case 'not_found':
          return print(`There is no operation ${id}.`)
        default:
          return outcome satisfies never
      }
    })
}

/** What was done to a group before: `2026-11-03: replay by Ada (done): raised the limit; 412 of 412 landed` */
export function describePast({
  createdAt,
  kind,
  actor,
  state,
  reason,
  expected,
  ...done
}: Operation): string {
  const result =
    kind === 'replay'
      ? `${grouped(done.landed)} of ${grouped(expected)} landed`
      : `${grouped(done.taken)} of ${grouped(expected)}`
  return `${createdAt.toISOString().slice(0, 10)}: ${kind} by ${actor} (${state.replaceAll('_', ' ')}): ${reason}; ${result}`
}

/** What was done to one letter: `2026-11-03: discard of letter 41 by Ada: a test of the sender` */
export function describeAct({ at, action, letter, actor, reason }: SingleAct): string {
  return `${at.toISOString().slice(0, 10)}: ${action} of letter ${letter} by ${actor}${reason ? `: ${reason}` : ''}`
}
