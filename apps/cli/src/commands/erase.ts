import { type ErasurePlan, erase, planErasure, type Receipt } from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command, Option } from 'commander'
import { personName } from '../arguments.ts'
import { complain, print, printFields, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

type Options = {
  journey?: string
  reference?: string
  environment?: string
  yes?: true
  reason?: string
  actor?: string
  json?: true
}

export function eraseCommand(): Command {
  return new Command('erase')
    .description('delete everything of one person from all stores, for good, with a signed receipt')
    .addOption(new Option('--journey <id>', 'a journey').conflicts('reference'))
    .option('--reference <number>', 'a reference number: all journeys and spot checks that have it')
    .option('--environment <name>', 'only in this environment: live or sandbox (default: in all)')
    .option('--yes', 'do it; without this, show what would be deleted')
    .option('--reason <text>', 'why, for the receipt; it must not name the person')
    .option('--actor <name>', 'who, for the receipt (default: the user that runs this)', personName)
    .option('--json', 'print JSON')
    .action(run)
}

async function run({ journey, reference, environment, yes, json, ...given }: Options): Promise<void> {
  const name = journey ?? reference
  if (name === undefined) throw new UserError('Name what to erase: `--journey ID` or `--reference NUMBER`.')
  const { reason, actor = whoIsThis() } = given
  if (reason?.includes(name)) {
    throw new UserError('The reason stays in the receipt: leave the id or reference number out of it.')
  }
  const sought = {
    kind: journey === undefined ? ('reference' as const) : ('journey' as const),
    name,
    environment,
  }
  await withStores(async (stores) => {
    const plan = await planErasure(stores, sought)
    if (isDone(plan)) return json ? printJson(plan.last?.receipt) : printDone(plan)
    if (!yes) {
      process.exitCode = 1
      const { journeys, counts } = plan
      return json ? printJson({ journeys, counts }) : printPlan(plan)
    }
    const report = (line: string) => {
      if (!json) complain(`${line} …`)
    }
    const receipt = await erase(stores, plan, { actor, reason, report })
    return json ? printJson(receipt) : printReceipt(receipt)
  })
}

/** Nothing is stored any more, and an erasure of it has ended. */
function isDone({ counts, journeys, last }: ErasurePlan): boolean {
  return Boolean(last?.purgedAt) && journeys.length + Object.values(counts).reduce((sum, n) => sum + n) === 0
}

function printDone({ last }: ErasurePlan): void {
  print(
    `It was erased at ${last?.erasedAt?.toISOString()} (erasure ${last?.n}), and nothing of it is stored.`,
  )
}

function printPlan({ sought, journeys, counts, last }: ErasurePlan): void {
  if (journeys.length > 0) printTable(journeys.map((each) => ({ ...each })))
  printFields(counts)
  print()
  if (last && !last.receipt) print(`Erasure ${last.n} of it was interrupted.`)
  print(`Nothing was deleted. To erase all of this for good, add --yes (${sought.kind}).`)
}

function printReceipt({ counts, remains, ...receipt }: Receipt): void {
  print(`Erased at ${receipt.erasedAt}; receipt ${receipt.number}.`)
  printFields({ ...counts, keys: receipt.tombstones })
  print()
  for (const { where, until } of remains) print(`  ${where}: until ${until}`)
}
