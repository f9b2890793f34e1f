import { UserError } from '@sluice/shared/runtime'
import { exitOnInterrupt } from '@sluice/testkit/report'
import { readOptions } from './options.ts'
import { writeReport } from './report.ts'
import { type Result, runFault } from './run.ts'
import { describeResults, describeVerdict, isFailure } from './table.ts'

/** Runs one fault after the other. The exit code is 1 if an invariant broke or a fault took no effect. */
async function main(): Promise<void> {
  const options = readOptions()
  const results: Result[] = []
  for (const fault of options.faults) {
    console.error(`${fault.id}  ${fault.name} …`)
    const result = await runFault(fault, options)
    results.push(result)
    console.error(describeVerdict(result))
    // After each fault, so that an interrupted run leaves the results that it has.
    if (options.report) await writeReport(options.report, results, options)
  }
  console.log(options.json ? JSON.stringify(results, null, 2) : describeResults(results))
  process.exitCode = results.some(isFailure) ? 1 : 0
}

exitOnInterrupt()
await main().catch((error) => {
  console.error(error instanceof UserError ? error.message : error)
  process.exitCode = 1
})
