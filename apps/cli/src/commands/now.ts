import { amountOf, describeState, readNewsSince, readState, type SinceNews } from '@sluice/shared/operations'
import { Command } from 'commander'
import { duration } from '../arguments.ts'
import { grouped, print, printJson } from '../output.ts'
import { withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'
import { printActs } from './audit.ts'

const REDIS_MS = 2_000

export function nowCommand(): Command {
  return new Command('now')
    .description(
      'say in one sentence if events flow, what is wrong and what to do; exit code 1 if it is grave',
    )
    .option(
      '--since <duration>',
      'also what happened since, such as 8h: the largest groups, the newest of the rest, and no acts of yours',
      duration,
    )
    .option('--json', 'print JSON')
    .action(({ since: ms, json }: { since?: number; json?: true }) =>
      withStores(async (stores) => {
        const { since: _, outage: __, ...state } = await readState(stores, { redisMs: REDIS_MS })
        if (state.level === 'fail') process.exitCode = 1
        const isAsked = ms !== undefined && state.figures.stores.postgres === 'up'
        const since = new Date(Date.now() - (ms ?? 0))
        const found = isAsked && (await readNewsSince(stores.db, { since, person: whoIsThis() }))
        const news = found ? { since, ...found } : null
        if (json) return printJson(ms === undefined ? state : { ...state, news })
        for (const line of describeState(state).split('\n')) print(line)
        if (news) printNews(news)
      }),
    )
}

/** How many are listed; the data has one more if there are others. */
const SHOWN = 5

function printNews({
  since,
  groups,
  moreGroups,
  acts,
  healed,
  cameAgain,
}: SinceNews & { since: Date }): void {
  print()
  print(`Since ${since.toISOString().slice(0, 16).replace('T', ' ')} UTC:`)
  if (groups.length + acts.length + healed.length + cameAgain.count === 0) print('Nothing new.')
  if (groups.length > 0) print('New groups of dead letters:')
  for (const { fingerprint, letters, reason, event, environment, errorMessage } of groups.slice(0, SHOWN)) {
    const what = `${reason}, ${event ?? '(no event name)'} · ${environment ?? '-'}`
    print(`  ${fingerprint}  ${amountOf(letters)} · ${what}: ${errorMessage.slice(0, 160)}`)
  }
  if (groups.length > SHOWN)
    print(`  ${grouped(groups.length - SHOWN + moreGroups)} more: npx sluice dead groups`)
  printActs('Acts of others:', acts.slice(0, SHOWN))
  if (acts.length > SHOWN) print('  more: npx sluice audit')
  if (healed.length > 0) print('Over:')
  for (const { resolvedAt, name, text } of healed.slice(0, SHOWN))
    print(`  ${resolvedAt?.toISOString()}  ${name}: ${text.split('\n', 1)[0]}`)
  if (healed.length > SHOWN) print('  more: npx sluice alerts list --all')
  if (cameAgain.count > 0) print(`Refused, and came again: ${amountOf(cameAgain)}`)
}
