import { type EventsQuery, eventsQuery, type Followed, followEvents } from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { complain, print } from '../output.ts'
import { withStores } from '../stores.ts'

type TailOptions = { follow?: true; lines: number; json?: true } & Record<string, unknown>

export function tailCommand(): Command {
  return new Command('tail')
    .description('show the events that landed last, and new ones as they land')
    .option('-f, --follow', 'go on with new events until Ctrl-C; looks every second')
    .option('-n, --lines <n>', 'how many of the last events, at most 100', wholeNumber, 10)
    .option('--environment <name>', 'only those of one source, such as live')
    .option('--kind <kind>', 'only events of a kind, such as finished_journey')
    .option('--decision <decision>', 'only events with this decision, such as Refer')
    .option('--journey <id>', 'only events of a journey')
    .option('--reference <number>', 'only events of a reference number')
    .option('--via <way>', 'only those that came by redis, inbox or replay')
    .option('--body <json>', 'only events whose body has this, such as \'{"stepType":"Selfie"}\'')
    .option('--json', 'print one JSON document a line')
    .addHelpText('after', '\n  npx sluice tail --follow --environment live --decision Refer')
    .action(async ({ follow, lines, json, ...filters }: TailOptions) => {
      const query = readFilters(filters)
      if (lines > 100) throw new UserError('--lines is more than 100.')
      await withStores(async (stores) => {
        for await (const found of followEvents(stores, query, { recent: lines })) {
          if (found.kind === 'refused') throw new UserError(found.words)
          if (found.kind === 'away') complain(`Postgres does not answer (${found.words}); asking again.`)
          else for (const event of found.events) print(json ? JSON.stringify(event) : lineOf(event))
          if (!follow) return
        }
      })
    })
}

function readFilters(filters: Record<string, unknown>): EventsQuery {
  const read = eventsQuery.safeParse(filters)
  if (read.success) return read.data
  throw new UserError(
    read.error.issues.map(({ path, message }) => `--${path.join('.')} ${message}.`).join('\n'),
  )
}

function lineOf(event: Extract<Followed, { kind: 'events' }>['events'][number]): string {
  const { processedAt, environment, event: name, journeyId, referenceNo, duplicates, via } = event
  const decision = event.finalDecision ?? event.manualDecision ?? event.systemDecision
  const facts = [
    processedAt.toISOString(),
    environment.padEnd(7),
    (name ?? '(no event name)').padEnd(28),
    (decision ?? '-').padEnd(10),
    journeyId ?? '-',
    referenceNo ?? '-',
    ...(via === 'replay' ? ['replayed'] : []),
    ...(duplicates > 0 ? [`${duplicates} duplicates`] : []),
  ]
  return facts.join('  ')
}
