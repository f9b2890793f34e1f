import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { aligned } from '@sluice/shared/runtime'
import { exitOnInterrupt } from '@sluice/testkit/report'
import { Command, InvalidArgumentError, Option } from 'commander'
import { capacityPage } from './capacity.ts'
import { measure } from './measure.ts'
import { measureCapacity } from './measures/capacity.ts'
import { measurePages } from './measures/pages.ts'
import { measureReplica, type ReplicaCost } from './measures/replica.ts'
import { measureShards } from './measures/shards.ts'
import { measureTraces, type TraceCost } from './measures/traces.ts'
import { FULL, QUICK } from './plan.ts'
import { ratiosOf } from './ratios.ts'
import { page, tables } from './report.ts'
import { createWorld } from './world.ts'

const FULL_REPORT = fileURLToPath(new URL('../docs/reports/performance.md', import.meta.url))
const CAPACITY = fileURLToPath(new URL('../docs/capacity.md', import.meta.url))

const TRACE_ROUNDS = 12

type Options = {
  quick?: true
  replica?: true
  traces?: true
  pages?: number
  capacity?: true
  json?: true
  report?: string
}

const command = new Command('npm run bench --')
  .description('measure Sluice and its peers, on a Redis and a Postgres that it starts')
  .option('--quick', 'the ratios alone, in about six minutes; without it every figure, in about half an hour')
  .addOption(
    new Option(
      '--replica',
      'only what an answer costs that waits for a replica of Redis 1 ms away, in about a minute',
    ).conflicts('quick'),
  )
  .addOption(
    new Option(
      '--traces',
      'only the CPU of an ingest that traces one event in 100, beside one that traces none, in about four minutes',
    ).conflicts(['quick', 'replica']),
  )
  .addOption(
    new Option('--pages <events>', 'only the pages of the console, over so many events (10000000)')
      .argParser(wholeNumber)
      .conflicts(['quick', 'replica', 'traces']),
  )
  .addOption(
    new Option(
      '--capacity',
      'only what an event costs at several rates, in about four minutes; writes docs/capacity.md',
    ).conflicts(['quick', 'replica', 'traces', 'pages']),
  )
  .option('--json', 'print { "ratios": { … }, … } instead of tables')
  .option(
    '--report <file>',
    'write a page about the run (without --quick by default docs/reports/performance.md)',
  )
  .addHelpText('after', '\nIt needs Linux with redis-server installed.')
  .action((options: Options) => {
    if (options.pages !== undefined) return runPages(options.pages, options)
    if (options.capacity) return runCapacity(options)
    if (options.traces) return runTraces(options)
    return options.replica ? runReplica(options) : runAll(options)
  })

/** A ratio that misses its aim is a finding and no failure: the exit code is 0. */
async function runAll({ quick, json, report = quick ? undefined : FULL_REPORT }: Options): Promise<void> {
  const plan = quick ? QUICK : FULL
  const results = await measure(
    plan,
    (line) => console.error(line),
    async (known) => {
      if (report) await writeFile(report, await page(known, ratiosOf(known), plan))
    },
  )
  const ratios = ratiosOf(results)
  if (!json) return console.log(tables(results, ratios))
  const plain = Object.fromEntries(ratios.map(({ name, value }) => [name, value]))
  console.log(JSON.stringify({ ratios: plain, aims: ratios, ...results }, null, 2))
}

async function runReplica({ json }: Options): Promise<void> {
  await using world = await createWorld()
  const cost = await measureReplica(world, QUICK.answerRounds)
  console.log(json ? JSON.stringify(cost) : describeReplica(cost))
}

async function runTraces({ json }: Options): Promise<void> {
  await using world = await createWorld()
  const cost = await measureTraces(world, TRACE_ROUNDS)
  console.log(json ? JSON.stringify(cost) : describeTraces(cost))
}

async function runPages(events: number, { json }: Options): Promise<void> {
  await using world = await createWorld()
  const measured = await measurePages(world, events, (line) => console.error(line))
  console.log(json ? JSON.stringify(measured) : describePages(measured))
}

async function runCapacity({ json, report: file = CAPACITY }: Options): Promise<void> {
  await using world = await createWorld()
  const report = (line: string) => console.error(line)
  const capacity = await measureCapacity(world, report)
  const shards = await measureShards(world, report)
  const { rows } = await world.db.pool.query('show server_version')
  const page = await capacityPage(capacity, shards, rows[0].server_version)
  await writeFile(file, page)
  console.log(json ? JSON.stringify({ ...capacity, shards }) : page)
}

function describePages({ figures, landing }: Awaited<ReturnType<typeof measurePages>>): string {
  const table = aligned([
    ['', 'p50 ms', 'p95 ms', 'aim', 'buffers'],
    ...figures.map(({ name, p50, p95, aim, buffers }) => [
      name,
      p50.toFixed(1),
      p95.toFixed(1),
      aim === undefined ? '' : `${aim}${p95 > aim ? ' MISSED' : ''}`,
      String(buffers),
    ]),
  ])
  const [alone, beside] = [landing.alone, landing.beside].map(Math.round)
  const besides = `Landing: ${alone} a second, beside 200 lists at once ${beside}, ratio ${landing.ratio.toFixed(2)} (aim: at least 0.97)`
  return [...table, besides].join('\n')
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('Give a number of events.')
  return Number(text)
}

function describeReplica({ alone, acknowledged }: ReplicaCost): string {
  const ms = (milliseconds: number) => `${milliseconds.toFixed(1)} ms`
  return [
    'Answers at 1,000 a second, Redis with a replica 1 ms away:',
    `  not waited for  p50 ${ms(alone.p50)}, p99 ${ms(alone.p99)}`,
    `  waited for      p50 ${ms(acknowledged.p50)}, p99 ${ms(acknowledged.p99)}`,
  ].join('\n')
}

function describeTraces({ without, traced, ratio, spans, events }: TraceCost): string {
  return [
    'CPU of the ingest per event at 2,000 a second:',
    `  without traces  ${without.toFixed(1)} µs`,
    `  one in 100      ${traced.toFixed(1)} µs (${spans} spans of ${Math.round(events)} events)`,
    `  median ratio    ${ratio.toFixed(3)} (aim: at most 1.03)`,
  ].join('\n')
}

exitOnInterrupt()
await command.parseAsync()
