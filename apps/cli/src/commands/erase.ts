import {
  type ErasurePlan,
  erase,
  isHeldUp,
  planErasure,
  type Receipt,
  writeReceiptFile,
} from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command, Option } from 'commander'
import { personName } from '../arguments.ts'
import { complain, print, printFields, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'
import { listCommand, printReceipt, reapplyCommand, verifyCommand } from './erase-receipts.ts'

type Options = {
  journey?: string
  reference?: string
  environment?: string
  yes?: true
  rewrite?: true
  reason?: string
  actor?: string
  out?: string
  json?: true
}

export function eraseCommand(): Command {
  return new Command('erase')
    .description('delete everything of one person from all stores, for good, with a signed receipt')
    .addOption(new Option('--journey <id>', 'a journey').conflicts('reference'))
    .option('--reference <number>', 'a reference number, with all of its journeys and spot checks')
    .option('--environment <name>', 'only in this environment (default: in all)')
    .option('--yes', 'do it; without this, show what would be deleted')
    .option('--rewrite', 'write tables above 64 MB anew as well, each of which is locked meanwhile')
    .option('--reason <text>', 'why, for the receipt; it must not name the person')
    .option('--actor <name>', 'who, for the receipt (default: the user that runs this)', personName)
    .option('--out <file>', 'write the receipt to this file as well')
    .option('--json', 'print JSON')
    .addHelpText('after', HELP)
    .enablePositionalOptions()
    .action(run)
    .addCommand(listCommand())
    .addCommand(verifyCommand())
    .addCommand(reapplyCommand())
}

const HELP =
  '\nWorkers may go on: from the first step on, an event of an erased journey or reference number only leaves its key, so' +
  '\nthat nothing of it is stored again. If the command is interrupted, run it again: it goes on. It needs a direct' +
  '\nconnection to Postgres, without a pooler, and a Redis user that may run BGREWRITEAOF and INFO. The receipt says what' +
  '\nremains elsewhere, and for how long. IDWise keeps its own data: delete the journey there, too.'

async function run({ journey, reference, environment, ...options }: Options): Promise<void> {
  const name = journey ?? reference
  if (!name) throw new UserError('Say what to erase: `--journey ID` or `--reference NUMBER`.')
  const { reason, actor = whoIsThis(), json } = options
  if (`${reason} ${actor}`.includes(name)) {
    throw new UserError('The receipt keeps reason and actor: leave the id or reference number out of them.')
  }
  const kind = journey === undefined ? ('reference' as const) : ('journey' as const)
  await withStores(async (stores) => {
    const plan = await planErasure(stores, { kind, name, environment })
    if (isDone(plan, options)) return json ? printJson(plan.last?.receipt) : printDone(plan)
    if (!options.yes) {
      process.exitCode = 1
      return json ? printJson({ journeys: plan.journeys, counts: plan.counts }) : printPlan(plan)
    }
    const report = (line: string) => {
      if (!json) complain(`${line} …`)
    }
    const receipt = await erase(stores, plan, { actor, reason, report, everySize: options.rewrite })
    if (options.out !== undefined) await writeReceiptFile(options.out, receipt)
    if (json) printJson(receipt)
    else printReceipt(receipt)
    if (receipt.purgedAt !== null) return
    if (isHeldUp(receipt)) {
      process.exitCode = 1
      complain('The files of a store still have it. Remove the cause, and run the same command again.')
    } else complain('Free space of large tables still has bytes of it: `--rewrite` writes them anew.')
  })
}

/** Nothing is stored any more, and an erasure of it has ended. */
function isDone({ counts, journeys, archived = 0, last }: ErasurePlan, { rewrite }: Options): boolean {
  const stored = Object.values(counts).reduce((sum, count) => sum + count, journeys.length + archived)
  const receipt = last?.receipt as Receipt | null | undefined
  return stored === 0 && Boolean(receipt && (receipt.purgedAt || !(rewrite || isHeldUp(receipt))))
}

function printDone({ last }: ErasurePlan): void {
  print(`Erased already at ${last?.erasedAt?.toISOString()} (erasure ${last?.n}). Nothing of it is stored.`)
}

function printPlan({ sought, journeys, counts, archived, last }: ErasurePlan): void {
  if (journeys.length > 0) {
    print(`Journeys of this ${sought.kind === 'journey' ? 'id' : 'reference number'}:`)
    printTable(journeys.map(({ referenceNo, ...journey }) => ({ ...journey, referenceNo })))
    print()
  }
  print('Stored in all:')
  printFields({ journeys: journeys.length, ...counts, ...(archived !== undefined && { archived }) })
  print()
  if (sought.kind === 'journey' && journeys.some(({ referenceNo }) => referenceNo !== null)) {
    print(
      'Other journeys and spot checks with the same reference number stay; `--reference` takes them as well.',
    )
  }
  if (last && !last.receipt) print(`Erasure ${last.n} of it was interrupted, and goes on.`)
  print('Nothing was deleted. To erase all of this for good, run the same command with --yes.')
}
