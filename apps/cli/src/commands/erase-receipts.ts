import {
  listReceiptFiles,
  type Receipt,
  readErasures,
  readReceiptFiles,
  reapplyErasures,
  type Stores,
  verifyErasures,
} from '@sluice/shared/operations'
import { Command } from 'commander'
import { personName } from '../arguments.ts'
import { complain, print, printFields, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

type Json = { json?: true }

export function listCommand(): Command {
  return new Command('list')
    .description('list all erasures, and the public key of their receipts')
    .option('--json', 'print JSON, with the receipts')
    .action(async ({ json }: Json) => {
      const { publicKey, erasures } = await withStores(({ db }) => readErasures(db))
      if (json) return printJson({ publicKey, erasures })
      if (erasures.length === 0) print('Nothing was erased.')
      else printTable(erasures.map(summaryOf))
      print()
      print(`Public key (Ed25519): ${publicKey}`)
    })
}

function summaryOf(erasure: Awaited<ReturnType<typeof readErasures>>['erasures'][number]) {
  const { n, kind, requestedAt, erasedAt, purgedAt, actor, reason, late, lastLateAt } = erasure
  const receipt = (erasure.receipt as Receipt | null)?.number
  return { n, kind, requestedAt, erasedAt, purgedAt, receipt, actor, reason, late, lastLateAt }
}

export function verifyCommand(): Command {
  return new Command('verify')
    .description('check all receipts, and that no store has anything of what they erased')
    .argument('[files...]', 'receipts that were kept elsewhere (default: those in RECEIPTS_DIR)')
    .option('--json', 'print JSON')
    .action(async (files: string[], { json }: Json) => {
      await withStores(async (stores) => {
        const result = await verifyErasures(stores, await receiptsOf(stores, files))
        if (result.problems.length > 0) process.exitCode = 1
        if (json) return printJson(result)
        for (const problem of result.problems) print(problem)
        if (result.waiting > 0)
          print(`${result.waiting} events of erased subjects wait, and will not be stored.`)
        if (result.problems.length === 0)
          print(`${result.receipts} receipts are right, and nothing of it is stored.`)
      })
    })
}

export function reapplyCommand(): Command {
  return new Command('reapply')
    .description('after a restored backup, erase again what was erased since')
    .argument('[files...]', 'receipts that were kept elsewhere (default: those in RECEIPTS_DIR)')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--json', 'print JSON')
    .action(async (files: string[], { actor = whoIsThis(), json }: Json & { actor?: string }) => {
      await withStores(async (stores) => {
        const report = (line: string) => {
          if (!json) complain(`${line} …`)
        }
        const result = await reapplyErasures(stores, await receiptsOf(stores, files), { actor, report })
        if (json) return printJson(result)
        print(
          `${result.receipts.length} receipts were added; ${result.erasures.length} erasures found something again.`,
        )
      })
    })
}

async function receiptsOf({ copies }: Stores, files: readonly string[]): Promise<Receipt[]> {
  const kept = copies?.receipts === undefined ? [] : await listReceiptFiles(copies.receipts)
  return readReceiptFiles(files.length > 0 ? files : kept)
}

export function printReceipt(receipt: Receipt): void {
  const { number, erasedAt, purgedAt, counts, tombstones, remains } = receipt
  print(`Receipt ${number}: erased at ${erasedAt}, files rewritten at ${purgedAt ?? '-'}`)
  printFields({ ...counts, 'keys that stay': tombstones })
  print()
  print('What remains elsewhere:')
  for (const { where, until } of remains) print(`  ${where}: until ${until}`)
}
