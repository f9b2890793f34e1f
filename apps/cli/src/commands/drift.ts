import { acknowledgeDrifts, describeDrift, eventsOf, listDrifts, readLook } from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { personName, wholeNumberAboveZero } from '../arguments.ts'
import { grouped, print, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

export function driftCommand(): Command {
  return new Command('drift')
    .description('show how the events differ from what IDWise documents, and say what is known')
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(ackCommand())
}

function listCommand(): Command {
  return new Command('list')
    .description('list what nobody has acknowledged, the newest first')
    .option('--all', 'also what somebody has acknowledged')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe scheduler looks at new events every 15 s. Each row has the event key of one of them: `npx sluice event KEY` shows it.',
    )
    .action(async ({ all = false, json }: { all?: boolean; json?: true }) => {
      const { rows, look } = await withStores(async ({ db }) => ({
        rows: await listDrifts(db.pool, { all }),
        look: await readLook(db.pool),
      }))
      if (json) return printJson(rows)
      if (rows.length > 0) {
        printTable(
          rows.map((row) => ({
            ...{ id: row.id, from: row.environment, what: describeDrift(row), events: row.count },
            in: eventsOf(row),
            ...{ first: row.firstSeenAt, last: row.lastSeenAt, sample: row.sample },
            ...(all && { by: row.acknowledgedBy }),
          })),
        )
        return
      }
      if (!look) return print('No event has been looked at yet. A worker or scheduler does it every 15 s.')
      const looked = `${grouped(look.events)} events looked at since ${look.countedSince.toISOString()}`
      print(`${all ? 'Nothing that is not documented' : 'Nothing new'}: ${looked}.`)
    })
}

type AckOptions = { reason?: string; actor?: string; json?: true }

function ackCommand(): Command {
  return new Command('ack')
    .description('note that a difference is known: it goes quiet')
    .argument('<id...>', 'its number', (text: string, before: number[] | undefined) => [
      ...(before ?? []),
      wholeNumberAboveZero(text),
    ])
    .option('--reason <text>', 'why, for the record')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--json', 'print JSON')
    .action(async (ids: number[], { reason, actor = whoIsThis(), json }: AckOptions) => {
      const done = await withStores(({ db }) => acknowledgeDrifts(db, { ids, actor, reason }))
      if (json) printJson({ acknowledged: done })
      else for (const id of done) print(`${actor} knows of ${id}.`)
      const others = ids.filter((id) => !done.includes(id))
      if (others.length > 0) {
        throw new UserError(
          `Nothing to acknowledge: ${others.join(', ')}. \`npx sluice drift\` shows what there is.`,
        )
      }
    })
}
