import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { UserError } from '@sluice/shared/runtime'
import { FAULTS, type Fault, findFaults } from './faults/index.ts'

export type Options = {
  readonly faults: readonly Fault[]
  readonly seed: number
  readonly rate: number
  readonly minutes: number
  readonly report: string | undefined
  readonly json: boolean
}

export const USAGE = `npm run chaos -- [--fault F04[,F11…]] [--all] [--seed N] [--minutes M] [--rate R] [--report FILE] [--json]

  --fault    these faults, by their ids; F01 means F01-5s too
  --all      every fault; what a run without --fault does, too
  --seed     events and random choices (default 1)
  --minutes  how long the load lasts for each fault, at least (default 0.1)
  --rate     new events a second (default 100)
  --report   writes a page about the run (default with --all: docs/reports/reliability.md)
  --json     prints the results as JSON instead of the table`

const FULL_REPORT = fileURLToPath(new URL('../docs/reports/reliability.md', import.meta.url))

/** @throws UserError */
export function readOptions(args: string[]): Options | 'help' {
  const { values } = parse(args)
  if (values.help) return 'help'
  if (values.all && values.fault) throw new UserError('Give either --fault or --all.')
  const ids = values.fault?.flatMap((list) => list.split(',')).map((id) => id.trim().toUpperCase())
  return {
    faults: ids
      ? findFaults(ids.map((id) => id.replace(/-\w+$/, (variant) => variant.toLowerCase())))
      : FAULTS,
    seed: number('--seed', values.seed, 1),
    rate: number('--rate', values.rate, 100),
    minutes: number('--minutes', values.minutes, 0.1),
    report: values.report ?? (values.all ? FULL_REPORT : undefined),
    json: values.json ?? false,
  }
}

function parse(args: string[]) {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  try {
    return parseArgs({
      args,
      options: {
        fault: { type: 'string', multiple: true },
        all: flag,
        seed: text,
        minutes: text,
        rate: text,
        report: text,
        json: flag,
        help: flag,
      },
    })
  } catch (error) {
    throw new UserError(`${(error as Error).message}\n${USAGE}`)
  }
}

function number(name: string, given: string | undefined, byDefault: number): number {
  if (given === undefined) return byDefault
  const value = Number(given)
  if (!(value > 0)) throw new UserError(`${name} must be a number above 0, not ${given}.`)
  return value
}
