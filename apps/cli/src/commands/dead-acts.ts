import {
  type ActResult,
  actOnDeadLetters,
  type DeadLetterActName,
  describeFilter,
  describeIssues,
  inWords,
  type LetterFilter,
  newOperation,
  planOperation,
  previewLetters,
  readOperation,
  type StartOutcome,
  type Stores,
  shellWord,
  startOperation,
} from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { personName, wholeNumber, wholeNumberAboveZero } from '../arguments.ts'
import { confirm } from '../input.ts'
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
        'scheduler carries out. Of an operation it first shows what it would do, and asks in a terminal; with --yes ' +
        'and --expected it starts at once, if there are as many letters as expected.',
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
        'replay so many first, and wait for `npx sluice operations go`',
        wholeNumberAboveZero,
      )
      .option('--stop-after <n>', 'stop when so many have failed again', wholeNumberAboveZero)
  }
  return command
    .option('--rate <n>', 'at most so many a second', wholeNumberAboveZero)
    .option('--expected <n>', 'do nothing if there is another number of letters', wholeNumber)
    .option('--reason <text>', 'why, for the record; a discard and an operation need one')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--yes', 'start the operation without asking; needs --expected')
    .option('--json', 'print JSON')
    .action(async (ids: number[] = [], options: ActOptions) => {
      const filter = filterOf(options)
      const isFiltered = Object.keys(filter).length > 0
      if (ids.length > 0 && isFiltered) throw new UserError('Give numbers or a filter, not both.')
      if (ids.length > 0) return withStores((stores) => actAtOnce(stores, name, ids, options))
      if (!isFiltered)
        throw new UserError('Name the dead letters: by number, or by a filter such as --group.')
      return withStores((stores) => actByFilter(stores, command, { kind: name, filter }, options))
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
  replay: (id) => `${id}: on its way; \`npx sluice dead show ${id}\` shows how it ended.`,
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

type Asked = { readonly kind: DeadLetterActName; readonly filter: LetterFilter }

async function actByFilter(
  { db }: Stores,
  command: Command,
  asked: Asked,
  options: ActOptions,
): Promise<void> {
  const { sample = null, rate = null, stopAfter = null, reason = '', actor, yes, json } = options
  const expected = yes ? options.expected : undefined
  const seen = expected ?? (await showAndAsk(db, command, asked, options))
  if (seen === undefined) {
    process.exitCode = 1
    return
  }
  const read = newOperation.safeParse(
    { ...asked, expected: seen, sample, rate, stopAfter, reason },
    { error: inWords },
  )
  if (!read.success) throw new UserError(describeIssues(read.error).join('\n'))
  const outcome = await startOperation(db, { ...read.data, actor: actor ?? whoIsThis() })
  if (outcome.kind !== 'started') process.exitCode = 1
  if (json) printJson(outcome)
  else print(describeStart(outcome, describeFilter(asked.filter, asked.kind)))
}

const PREVIEWED = 5
const FAILING = new Set(['fails', 'conflict'])

/**
 * Says what an operation would do, and the command that does it; in a terminal it asks.
 *
 * @returns the number of letters that the person has seen and agreed to; undefined if there is no such person
 */
async function showAndAsk(
  db: Stores['db'],
  command: Command,
  asked: Asked,
  options: ActOptions,
): Promise<number | undefined> {
  const { operation } = asked.filter
  if (operation !== undefined && !(await readOperation(db, operation)))
    throw new UserError(`There is no operation ${operation}.`)
  const plan = await planOperation(db, asked)
  if (!plan) throw new UserError('The filter is empty.')
  const { count, words, journeys } = plan
  if (!options.json) {
    print(`${asked.kind}: ${grouped(count)} ${words}; they belong to ${grouped(journeys)} journeys.`)
    for (const line of describePace(options)) print(line)
  }
  const preview = await previewLetters(db, { ...asked, sample: options.sample ?? PREVIEWED })
  if (options.json) printJson({ ...plan, preview })
  else printPreview(preview)
  if (options.json || count === 0) return undefined
  const { expected = count, reason } = options
  if (expected !== count) {
    print(`${grouped(expected)} were expected. Nothing was done.`)
    return undefined
  }
  const mayAsk = process.stdin.isTTY && process.stdout.isTTY && reason?.trim()
  if (mayAsk && (await confirm(`${asked.kind} these ${grouped(count)} now? (y/N) `))) return count
  print(`Nothing was done.${options.yes ? ' --yes needs --expected, the number that you have seen.' : ''}`)
  if (preview.letters.length > 0 && preview.letters.every(({ outcome }) => FAILING.has(outcome)))
    print('All that were tried would fail again: mend the cause first.')
  if (!mayAsk) print(`To do it: ${commandLine(command, options)} --yes --expected ${count}`)
  return undefined
}

function describePace({ sample, rate, stopAfter }: ActOptions): string[] {
  return [
    ...(sample
      ? [`The first ${grouped(sample)} go as a sample; then it waits for \`npx sluice operations go\`.`]
      : []),
    ...(rate ? [`At most ${grouped(rate)} a second.`] : []),
    ...(stopAfter ? [`It stops when ${grouped(stopAfter)} have failed again.`] : []),
  ]
}

const OF_THE_START = ['yes', 'expected', 'json', 'reason']

/** The command as it was given, without what binds it to a number. */
function commandLine(command: Command, { reason }: ActOptions): string {
  const given = command.options
    .map((option) => ({ ...option, name: option.attributeName() }))
    .filter(({ name }) => !OF_THE_START.includes(name) && command.getOptionValue(name) !== undefined)
    .map(({ long, name }) => `${long} ${word(String(command.getOptionValue(name)))}`)
  return [
    'npx sluice dead',
    command.name(),
    ...given,
    `--reason ${reason?.trim() ? word(reason) : 'TEXT'}`,
  ].join(' ')
}

function word(text: string): string {
  return /^[\w.:/+-]+$/.test(text) ? text : shellWord(text)
}

function describeStart(outcome: StartOutcome, words: string): string {
  switch (outcome.kind) {
    case 'started':
      return `Operation ${outcome.id} has started: ${grouped(outcome.count)} ${words}. \`npx sluice operations show ${outcome.id}\` shows how far it is.`
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
