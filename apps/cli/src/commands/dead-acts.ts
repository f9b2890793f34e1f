import {
  type ActResult,
  actOnDeadLetters,
  type DeadLetterActName,
  describeIssues,
  inWords,
  type LetterFilter,
  newOperation,
  planOperation,
  previewLetters,
  type StartOutcome,
  type Stores,
  startOperation,
} from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { personName, wholeNumber, wholeNumberAboveZero } from '../arguments.ts'
import { grouped, print, printJson } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'
import { addFilterOptions, type FilterOptions, filterOf } from './dead-filter.ts'
import { printPreview } from './preview.ts'

type ActOptions = FilterOptions & {
  reason?: string
  actor?: string
  json?: true
  sample?: number | null
  rate?: number | null
  stopAfter?: number | null
  expected?: number
  yes?: true
}

/** Acts on letters by their numbers at once, and on letters by a filter through an operation. */
export function actCommand(name: DeadLetterActName, description: string): Command {
  const command = new Command(name)
    .description(
      `${description}: those with these numbers at once, or all that a filter names as an operation, which a worker or ` +
        'scheduler carries out. Without --yes it shows what an operation would do.',
    )
    .argument('[ids...]', 'their numbers', (text: string, before: number[] = []) => [
      ...before,
      wholeNumber(text),
    ])
  addFilterOptions(command)
  if (name === 'replay') {
    command
      .option(
        '--sample <n>',
        'replay so many first, and wait for `sluice operations go`',
        wholeNumberAboveZero,
      )
      .option('--stop-after <n>', 'stop when so many have failed again', wholeNumberAboveZero)
  }
  return command
    .option('--rate <n>', 'at most so many a second', wholeNumberAboveZero)
    .option('--expected <n>', 'do nothing if there is another number of letters', wholeNumber)
    .option('--reason <text>', 'why, for the record; an operation needs one')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--yes', 'start the operation')
    .option('--json', 'print JSON')
    .action(async (ids: number[] = [], options: ActOptions) => {
      const filter = filterOf(options)
      const isFiltered = Object.keys(filter).length > 0
      if (ids.length > 0 && isFiltered) throw new UserError('Give numbers or a filter, not both.')
      if (ids.length > 0) return withStores((stores) => actAtOnce(stores, name, ids, options))
      if (!isFiltered)
        throw new UserError('Name the dead letters: by number, or by a filter such as --group.')
      return withStores((stores) => actByFilter(stores, name, filter, options))
    })
}

async function actAtOnce(
  { db }: Stores,
  name: DeadLetterActName,
  ids: readonly number[],
  { reason, actor = whoIsThis(), json }: ActOptions,
): Promise<void> {
  const results = []
  for await (const result of actOnDeadLetters(db, name, { ids, actor, reason })) {
    results.push(result)
    if (result.kind !== 'done') process.exitCode = 1
    if (!json) print(describeResult(name, result))
  }
  if (json) printJson(results)
}

const DONE: Readonly<Record<DeadLetterActName, (id: number) => string>> = {
  replay: (id) => `${id}: on its way; \`sluice dead show ${id}\` shows how it ended.`,
  discard: (id) => `${id}: discarded.`,
  undo: (id) => `${id}: open again.`,
}

function describeResult(act: DeadLetterActName, result: ActResult): string {
  const { id } = result
  switch (result.kind) {
    case 'done':
      return DONE[act](id)
    case 'not_open':
      return `${id}: is ${result.state} already; nothing was done.`
    case 'not_discarded':
      return `${id}: is ${result.state}, not discarded; nothing was done.`
    case 'not_found':
      return `${id}: there is no such dead letter.`
    default:
      return result satisfies never
  }
}

const PREVIEWED = 5

async function actByFilter(
  { db }: Stores,
  kind: DeadLetterActName,
  filter: LetterFilter,
  { sample = null, rate = null, stopAfter = null, expected, reason = '', actor, yes, json }: ActOptions,
): Promise<void> {
  const plan = await planOperation(db, { kind, filter })
  if (!plan) throw new UserError('The filter is empty.')
  if (!yes) {
    process.exitCode = 1
    const preview = await previewLetters(db, { kind, filter, sample: sample ?? PREVIEWED })
    if (json) return printJson({ ...plan, preview })
    print(`${kind}: ${grouped(plan.count)} ${plan.words}; they belong to ${grouped(plan.journeys)} journeys.`)
    printPreview(preview)
    return print(`Nothing was done. To do it, add --yes --expected ${plan.count} --reason TEXT.`)
  }
  const asked = { kind, filter, expected: expected ?? plan.count, sample, rate, stopAfter, reason }
  const read = newOperation.safeParse(asked, { error: inWords })
  if (!read.success) throw new UserError(describeIssues(read.error).join('\n'))
  const outcome = await startOperation(db, { ...read.data, actor: actor ?? whoIsThis() })
  if (outcome.kind !== 'started') process.exitCode = 1
  if (json) printJson(outcome)
  else print(describeStart(outcome, plan.words))
}

function describeStart(outcome: StartOutcome, words: string): string {
  switch (outcome.kind) {
    case 'started':
      return `Operation ${outcome.id} has started: ${grouped(outcome.count)} ${words}. \`sluice operations show ${outcome.id}\` shows how far it is.`
    case 'count_changed':
      return `There are ${grouped(outcome.count)} ${words} now. Nothing was done.`
    case 'under_way':
      return `Operation ${outcome.id} does this already. Nothing was done.`
    case 'nothing_to_do':
      return `There are no ${words}.`
    case 'empty_filter':
      return 'The filter is empty. Nothing was done.'
    default:
      return outcome satisfies never
  }
}
