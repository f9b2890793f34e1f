import { auditOnceLanded } from '@sluice/shared/operations'
import { describeReport, readLedger, verify } from '@sluice/simulator'
import { Command } from 'commander'
import { seconds } from '../arguments.ts'
import { print, printJson } from '../output.ts'
import { withStores } from '../stores.ts'

export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'compare the ledger of a simulation with the database; exit code 1 if anything is missing or differs',
    )
    .argument('<ledger>', 'the file that `npx sluice simulate --ledger` wrote')
    .option('--wait <seconds>', 'how long events may still be on their way to the database', seconds, 120)
    .option('--json', 'print JSON')
    .action(async (path: string, { wait, json }: { wait: number; json?: true }) => {
      const report = await withStores(async (stores) => {
        const audit = await auditOnceLanded(stores, wait * 1_000)
        return verify({
          ledger: readLedger(path),
          events: audit.events(),
          deadLetters: audit.deadLetters(),
          journeys: audit.journeys(),
        })
      })
      if (!report.ok) process.exitCode = 1
      if (json) return printJson(report)
      for (const line of describeReport(report)) print(line)
    })
}
