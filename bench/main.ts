import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { measure } from './measure.ts'
import { measureReplica, type ReplicaCost } from './measures/replica.ts'
import { FULL, QUICK } from './plan.ts'
import { ratiosOf } from './ratios.ts'
import { page, tables } from './report.ts'
import { createWorld } from './world.ts'

const FULL_REPORT = fileURLToPath(new URL('../docs/reports/performance.md', import.meta.url))

const USAGE = `npm run bench -- [--quick | --replica] [--json] [--report FILE]

  --quick    the ratios alone, in about six minutes; without it every figure, in about half an hour
  --replica  only what it costs an answer to wait for a replica of Redis that is 1 ms away, in about a minute
  --json     prints { "ratios": { … }, … } instead of tables
  --report   writes a page about the run (default without --quick: docs/reports/performance.md)

It starts its own Redis, Postgres and servers on this machine, and needs Linux with redis-server installed.`

/** @returns the exit code: 2 where the arguments are wrong. A ratio that misses its aim is a finding, no failure. */
async function main(): Promise<number> {
  const flag = { type: 'boolean' } as const
  const { values } = parseArgs({
    options: { quick: flag, json: flag, replica: flag, report: { type: 'string' }, help: flag },
  })
  if (values.help) {
    console.log(USAGE)
    return 0
  }
  if (values.replica) {
    await using world = await createWorld()
    const cost = await measureReplica(world, QUICK.answerRounds)
    console.log(values.json ? JSON.stringify(cost) : inWords(cost))
    return 0
  }
  const plan = values.quick ? QUICK : FULL
  const report = values.report ?? (values.quick ? undefined : FULL_REPORT)
  const results = await measure(
    plan,
    (line) => console.error(line),
    async (known) => {
      if (report) await writeFile(report, await page(known, ratiosOf(known), plan))
    },
  )
  const ratios = ratiosOf(results)
  if (values.json) {
    const plain = Object.fromEntries(ratios.map(({ name, value }) => [name, value]))
    console.log(JSON.stringify({ ratios: plain, aims: ratios, ...results }, null, 2))
  } else console.log(tables(results, ratios))
  return 0
}

function inWords({ alone, acknowledged }: ReplicaCost): string {
  const ms = (milliseconds: number) => `${milliseconds.toFixed(1)} ms`
  return [
    'Answers at 1,000 a second, Redis with a replica 1 ms away:',
    `  not waited for  p50 ${ms(alone.p50)}, p99 ${ms(alone.p99)}`,
    `  waited for      p50 ${ms(acknowledged.p50)}, p99 ${ms(acknowledged.p99)}`,
  ].join('\n')
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    console.error(`Interrupted (${signal}).`)
    process.exit(130)
  })
}

process.exitCode = await main().catch((error) => {
  console.error(error.code?.startsWith('ERR_PARSE_ARGS') ? `${error.message}\n\n${USAGE}` : error)
  return error.code?.startsWith('ERR_PARSE_ARGS') ? 2 : 1
})
