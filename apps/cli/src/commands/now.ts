import { describeState, readState } from '@sluice/shared/operations'
import { Command } from 'commander'
import { print, printJson } from '../output.ts'
import { withStores } from '../stores.ts'

const REDIS_MS = 2_000

export function nowCommand(): Command {
  return new Command('now')
    .description(
      'say in one sentence if events flow, what is wrong and what to do; exit code 1 if it is grave',
    )
    .option('--json', 'print JSON')
    .action(({ json }: { json?: true }) =>
      withStores(async (stores) => {
        const { since: _, outage: __, ...state } = await readState(stores, { redisMs: REDIS_MS })
        if (state.level === 'fail') process.exitCode = 1
        if (json) printJson(state)
        else for (const line of describeState(state).split('\n')) print(line)
      }),
    )
}
