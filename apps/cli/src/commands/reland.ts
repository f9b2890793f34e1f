import { relandCompleted } from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { duration, personName } from '../arguments.ts'
import { print, printJson } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

type Options = { since: number; reason?: string; actor?: string; json?: true }

export function relandCommand(): Command {
  return new Command('reland')
    .description('after Postgres has lost rows, send the events that Redis still has through landing again')
    .option('--since <duration>', 'only those that landed within this time: 90s, 10m, 1h', duration, 600_000)
    .option('--reason <text>', 'why, for the record')
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe body of an event stays in Redis for ten minutes after it has landed. An event that is stored already is left' +
        '\nalone: it lands once, and no further delivery is counted. If rows of events were deleted by hand and their' +
        '\njourneys were not, run `npx sluice journey rebuild` afterwards.',
    )
    .action(async ({ since, reason, actor = whoIsThis(), json }: Options) => {
      const outcome = await withStores((stores) => relandCompleted(stores, { sinceMs: since, actor, reason }))
      switch (outcome.kind) {
        case 'no_redis':
          throw new UserError(
            'REDIS_URL is not set. Events that went through the inbox alone cannot be sent again.',
          )
        case 'redis_silent':
          throw new UserError('Redis does not answer; `npx sluice doctor` says why.')
        case 'done': {
          const { sent, withoutBody } = outcome
          if (json) return printJson({ sent, withoutBody })
          print(
            `${sent} events are on their way through landing again; \`npx sluice doctor\` shows how many wait.`,
          )
          if (withoutBody > 0)
            print(`${withoutBody} more landed in this time, but Redis has no body of them.`)
          return
        }
        default:
          return outcome satisfies never
      }
    })
}
