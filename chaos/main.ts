import { UserError } from '@sluice/shared/runtime'
import { readOptions, USAGE } from './options.ts'
import { writeReport } from './report.ts'
import { type Result, runFault } from './run.ts'
import { describeResults, describeVerdict, isFailure } from './table.ts'

/** Runs fault after fault; `process.exitCode` is 1 where an invariant broke or a fault did not bite. */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') return console.log(USAGE)
  const results: Result[] = []
  for (const fault of options.faults) {
    console.error(`${fault.id}  ${fault.name} …`)
    const result = await runFault(fault, options)
    results.push(result)
    console.error(describeVerdict(result))
    // After each, so that an interrupted run leaves what it has.
    if (options.report) await writeReport(options.report, results, options)
  }
  console.log(options.json ? JSON.stringify(results, null, 2) : describeResults(results))
  process.exitCode = results.some(isFailure) ? 1 : 0
}

// An interrupt ends everything: the processes of Sluice with this one, the stores when they notice.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    console.error(`Interrupted (${signal}).`)
    process.exit(130)
  })
}

await main().catch((error) => {
  console.error(error instanceof UserError ? error.message : error)
  process.exitCode = 1
})
