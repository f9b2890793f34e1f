import { createAudit, inboxBacklog } from '@sluice/shared/db'
import { pause } from '@sluice/shared/runtime'
import { describeReport, readLedger, verify } from '@sluice/simulator'
import { Command, InvalidArgumentError } from 'commander'
import { print, printJson } from '../output.ts'
import { type Stores, withStores } from '../stores.ts'

export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'compare the ledger of a simulation with the database; exit code 1 where anything is missing or differs',
    )
    .argument('<ledger>', 'the file that `sluice simulate --ledger` wrote')
    .option('--wait <seconds>', 'how long events may still be on their way to the database', seconds, 120)
    .option('--json', 'print JSON')
    .action(async (path: string, { wait, json }: { wait: number; json?: true }) => {
      const report = await withStores(async (stores) => {
        await untilLanded(stores, wait * 1000)
        const audit = createAudit(stores.db)
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

/** Waits until nothing is on its way, or the limit has passed: what has not landed then counts as missing. */
async function untilLanded({ db, queue }: Stores, limitMs: number): Promise<void> {
  const limit = Date.now() + limitMs
  const canAsk = queue === undefined || (await queue.ready(3_000))
  while (Date.now() < limit) {
    const counts = queue && canAsk ? await queue.counts() : undefined
    const queued = counts ? counts.waiting + counts.active + counts.delayed + counts.failed : 0
    if (queued + (await inboxBacklog(db.pool)).waiting === 0) return
    await pause(250)
  }
}

function seconds(text: string): number {
  const number = Number(text)
  if (!(number >= 0) || !Number.isFinite(number))
    throw new InvalidArgumentError('It must be a number of seconds.')
  return number
}
