import { randomUUID } from 'node:crypto'
import {
  credentialsSetting,
  type Env,
  namesOf,
  parseCredentials,
  readableSources,
  UserError,
} from '@sluice/shared/runtime'
import { describeProgress, describeSummary, parseMix, simulate } from '@sluice/simulator'
import { Command } from 'commander'
import { numberAboveZero } from '../arguments.ts'
import { print, printJson, printProgress } from '../output.ts'
import { settingsForSending } from '../stores.ts'

type Options = {
  url?: string
  environment?: string
  rate: number
  duration?: number
  journeys?: number
  connections: number
  seed: string
  mix: string
  timeScale: number
  timeout: number
  ledger?: string
  json?: true
}

export function simulateCommand(): Command {
  return new Command('simulate')
    .description(
      'send to an ingest what IDWise sends: whole journeys, redeliveries, and faults of the network',
    )
    .option('--url <url>', 'the address of the ingest (default: the one of this clone)')
    .option('--environment <name>', 'send to this source alone (default: to all that have credentials)')
    .option(
      '--rate <n>',
      'new events a second; duplicates and redeliveries come on top',
      numberAboveZero,
      500,
    )
    .option('--journeys <n>', 'end after so many journeys', numberAboveZero)
    .option('--duration <seconds>', 'end after so many seconds', numberAboveZero)
    .option('--connections <n>', 'connections at once', numberAboveZero, 64)
    .option('--seed <text>', 'the same seed sends the same events', randomUUID())
    .option('--mix <shares>', 'plain, all, or shares such as plain,late=0.1,duplicates=0.2', 'all')
    .option('--time-scale <n>', 'divides the 5, 10 and 15 minutes before redeliveries', numberAboveZero, 1)
    .option('--timeout <seconds>', 'how long to wait for an answer', numberAboveZero, 10)
    .option('--ledger <file>', 'record every attempt in a new file, for `npx sluice verify`')
    .option('--json', 'print the summary as JSON')
    .addHelpText(
      'after',
      '\nIt uses the credentials of the ingest (IDWISE_LIVE_CREDENTIALS and so on, or .sluice/env).' +
        '\nWithout --journeys and --duration it goes on until Ctrl-C.',
    )
    .action(run)
}

async function run(options: Options): Promise<void> {
  const env = await settingsForSending()
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const live = !options.json && process.stderr.isTTY
  const summary = await simulate(
    {
      url: baseOf(options.url ?? `http://127.0.0.1:${env.INGEST_PORT || 3000}`),
      credentials: readCredentials(env, options.environment),
      seed: options.seed,
      mix: parseMix(options.mix),
      ratePerSecond: options.rate,
      journeys: options.journeys,
      durationMs: options.duration && options.duration * 1000,
      connections: options.connections,
      timeoutMs: options.timeout * 1000,
      timeScale: options.timeScale,
      ledgerPath: options.ledger,
    },
    {
      signal: stop.signal,
      ...(live && {
        onProgress: (progress) => printProgress(describeProgress(progress)),
      }),
    },
  )
  if (live) printProgress('')
  if (options.json) printJson(summary)
  else for (const line of describeSummary(summary)) print(line)
}

/** The URL may end in the path of the webhook. */
function baseOf(url: string): string {
  return url.replace(/\/webhooks\/idwise\/[a-z0-9-]+\/?$/, '')
}

function readCredentials(env: Env, only: string | undefined) {
  const sources = only === undefined ? namesOf(readableSources(env)) : [only]
  return Object.fromEntries(
    sources.flatMap((environment) => {
      const name = credentialsSetting(environment)
      const text = env[name]
      if (!text) return []
      const { credentials, problems } = parseCredentials(text)
      if (problems.length > 0)
        throw new UserError(problems.map((problem) => `${name}: ${problem}`).join('\n'))
      return [[environment, credentials]]
    }),
  )
}
