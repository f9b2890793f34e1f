import {
  acceptTerms,
  describeTerms,
  ensurePartitions,
  type RetentionSurvey,
  surveyRetention,
} from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { personName } from '../arguments.ts'
import { print, printFields, printJson, printTable } from '../output.ts'
import { readRetentionPolicy, withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

export function retentionCommand(): Command {
  return new Command('retention')
    .description('show for how long everything is kept, the partitions of the events, and what is older')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe terms are settings of the processes that do the duties of the scheduler (RETENTION_EVENTS and so on). New terms' +
        '\nare announced first. Nothing is dropped by them before `npx sluice retention accept`.',
    )
    .action(async ({ json }: { json?: true }) => {
      const survey = await withStores(({ db }) => surveyRetention(db))
      if (json) return printJson(survey)
      printSurvey(survey)
    })
    .addCommand(acceptCommand())
    .addCommand(partitionsCommand())
}

type AcceptOptions = { reason?: string; actor?: string; json?: true }

function acceptCommand(): Command {
  return new Command('accept')
    .description('let the terms that were announced last take effect')
    .option('--reason <text>', 'why, for the record')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--json', 'print JSON')
    .action(async ({ reason, actor = whoIsThis(), json }: AcceptOptions) => {
      const accepted = await withStores(({ db }) => acceptTerms(db, { actor, reason }))
      if (!accepted) throw new UserError(NOTHING_ANNOUNCED)
      if (json) return printJson({ accepted })
      print(`Accepted: ${describeTerms(accepted)}. The next round of the scheduler acts on it.`)
    })
}

const NOTHING_ANNOUNCED =
  'No terms are announced. Set RETENTION_EVENTS (such as 400d) for the workers, and wait for a line in their log.'

function partitionsCommand(): Command {
  return new Command('partitions')
    .description('make the partitions that are missing, now and for the time ahead')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: true }) => {
      const { period } = await readRetentionPolicy()
      const made = await withStores(({ db }) => ensurePartitions(db, period))
      if (json) return printJson({ made })
      print(made.length === 0 ? 'No partition was missing.' : `Made ${made.join(', ')}.`)
    })
}

function printSurvey({ state, needsAcceptance, partitions, overdue }: RetentionSurvey): void {
  const { announced, announcedAt, accepted, acceptedAt, acceptedBy } = state
  printFields({
    announced: announced
      ? `${describeTerms(announced)} (${day(announcedAt)})`
      : 'nothing: everything is kept',
    accepted: accepted && `${describeTerms(accepted)} (${day(acceptedAt)}, by ${acceptedBy})`,
    droppedBefore: state.droppedBefore,
    keysBefore: state.keysBefore,
  })
  print()
  printTable(
    partitions.map(({ name, since, until, rows, bytes, goesAt, isDetaching }) => ({
      partition: name,
      from: day(since),
      to: day(until),
      rows: estimate(rows),
      size: megabytes(bytes),
      ...(announced?.events && { goes: isDetaching ? 'is going' : day(goesAt) }),
    })),
  )
  if (!announced) return
  print()
  print(`Older than these terms, by now:`)
  const partitionsOf = `${overdue.partitions} ${overdue.partitions === 1 ? 'partition' : 'partitions'}`
  printFields({
    events: `${partitionsOf}, ${estimate(overdue.rows)} rows, ${megabytes(overdue.bytes)}${spanOf(overdue)}`,
    keys: estimate(overdue.keys),
    deadLetters: grouped(overdue.deadLetters),
  })
  print()
  print(
    needsAcceptance
      ? 'Nothing goes by these terms yet. `npx sluice retention accept` lets them take effect.'
      : 'These terms are in effect.',
  )
}

function spanOf({ oldest, newest }: RetentionSurvey['overdue']): string {
  return oldest && newest ? `, landed from ${day(oldest)} to ${day(newest)}` : ''
}

function day(time: Date | null): string {
  return time?.toISOString().slice(0, 10) ?? '-'
}

/** Postgres knows only about how many, and nothing before it has looked at a table. */
const estimate = (count: number | null) => (count === null ? 'unknown' : `~${grouped(count)}`)
const megabytes = (bytes: number) => `${grouped(Math.ceil(bytes / 1_000_000))} MB`
const grouped = (count: number) => count.toLocaleString('en')
