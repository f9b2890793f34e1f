import { notifyInbox, recordReland, relandInbox } from '@sluice/shared/db'
import { UserError } from '@sluice/shared/runtime'
import { Command, InvalidArgumentError } from 'commander'
import { print, printJson } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

const PAGE = 500
const REDIS_WITHIN_MS = 3_000
const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }

type Options = { since: number; reason?: string; actor?: string; json?: true }

export function relandCommand(): Command {
  return new Command('reland')
    .description('send events through landing again that Redis still has, after Postgres has lost rows')
    .option(
      '--since <duration>',
      'those that landed within this time, such as 90s, 10m, 1h',
      duration,
      600_000,
    )
    .option('--reason <text>', 'why, for the record')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe body of an event stays in Redis for ten minutes after it has landed. What is stored already is left alone:' +
        '\nit lands once, and counts no further delivery. Where rows of events were deleted by hand and their journeys were not,' +
        '\nrun `sluice journey rebuild` afterwards.',
    )
    .action(async ({ since, reason, actor, json }: Options) => {
      await withStores(async ({ db, queue }) => {
        if (!queue)
          throw new UserError('There is no REDIS_URL: what went through the inbox alone leaves nothing.')
        if (!(await queue.ready(REDIS_WITHIN_MS)))
          throw new UserError('Redis does not answer; `sluice doctor` says why.')
        let [sent, gone] = [0, 0]
        let page: { jobId: string; envelope: string }[] = []
        async function send(): Promise<void> {
          await relandInbox(db.pool, page)
          sent += page.length
          page = []
        }
        const from = new Date(Date.now() - since)
        for await (const { jobId, data } of queue.completedSince(since)) {
          if (data === null) gone++
          else page.push({ jobId, envelope: data })
          if (page.length === PAGE) await send()
        }
        if (page.length > 0) await send()
        await recordReland(db.pool, {
          actor: actor ?? whoIsThis(),
          sent,
          since: from,
          ...(reason && { reason }),
        })
        if (sent > 0) await notifyInbox(db.pool)
        if (json) return printJson({ sent, withoutBody: gone })
        print(`${sent} events are on their way through landing again; \`sluice doctor\` tells how many wait.`)
        if (gone > 0) print(`${gone} more landed in this time whose bodies Redis does not have any more.`)
      })
    })
}

/** @returns ms */
function duration(text: string): number {
  const [, number, unit = ''] = /^(\d{1,6})([smh])$/.exec(text) ?? []
  const ms = Number(number) * (UNITS[unit] ?? Number.NaN)
  if (!(ms > 0)) throw new InvalidArgumentError('It must be a duration such as 90s, 10m or 1h.')
  return ms
}
