import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError, Option } from 'commander'
import { FAULTS, type Fault, findFaults } from './faults/index.ts'

export type Options = {
  readonly faults: readonly Fault[]
  /** Decides the events and every random choice. */
  readonly seed: number
  /** New events a second. */
  readonly rate: number
  /** How long the load of each fault lasts, at least. */
  readonly minutes: number
  readonly report: string | undefined
  readonly json: boolean
}

const FULL_REPORT = fileURLToPath(new URL('../docs/reports/reliability.md', import.meta.url))

/**
 * Ends the process if the arguments are wrong or ask for help.
 *
 * @throws UserError if no fault has one of the ids
 */
export function readOptions(): Options {
  const { fault, all, report, ...rest } = new Command('npm run chaos --')
    .description('inject faults under load, and check that no event is lost and none lands twice')
    .option('--fault <ids...>', 'these faults, such as F04,F11; F01 means F01-5s too')
    .addOption(
      new Option('--all', 'every fault, and a report; without --fault every fault runs too').conflicts(
        'fault',
      ),
    )
    .option('--seed <n>', 'events and random choices', positive, 1)
    .option('--minutes <n>', 'how long the load lasts for each fault, at least', positive, 0.1)
    .option('--rate <n>', 'new events a second', positive, 100)
    .option(
      '--report <file>',
      'write a page about the run (with --all by default docs/reports/reliability.md)',
    )
    .option('--json', 'print the results as JSON instead of the table', false)
    .parse()
    .opts<Omit<Options, 'faults'> & { fault?: string[]; all?: true }>()
  return {
    ...rest,
    faults: fault ? findFaults(fault.flatMap((list) => list.split(','))) : FAULTS,
    report: report ?? (all ? FULL_REPORT : undefined),
  }
}

function positive(text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new InvalidArgumentError('It must be a number above 0.')
  return number
}
