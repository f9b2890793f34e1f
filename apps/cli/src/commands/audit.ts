import { listActions, type RecordedAction } from '@sluice/shared/operations'
import { Command } from 'commander'
import { wholeNumber, wholeNumberAboveZero } from '../arguments.ts'
import { grouped, print, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'

type AuditOptions = { actor?: string; target?: string; limit: number; before?: number; json?: true }

export function auditCommand(): Command {
  return new Command('audit')
    .description('list what people did, by page, API or command line, newest first')
    .option('--actor <name>', 'only the acts of this person')
    .option('--target <what>', 'only acts on this, such as "dead_letter 42" or "operation 7"')
    .option('--limit <n>', 'at most so many', wholeNumberAboveZero, 50)
    .option('--before <id>', 'only those older than this one, for the next page', wholeNumber)
    .option('--json', 'print JSON')
    .action(async ({ actor, target, limit, before, json }: AuditOptions) => {
      const acts = await withStores(({ db }) => listActions(db, { actor, target }, { limit, before }))
      if (json) return printJson(acts)
      if (acts.length === 0) return print('No acts.')
      printTable(
        acts.map(({ id, at, actor, action, target, operation, operationId, reason }) => ({
          ...{ id, at, actor, action, target },
          operation: operationId ?? (operation && wordsOf(operation)),
          reason: reason?.slice(0, 100),
        })),
      )
    })
}

/** Prints acts under a heading, if there are any. */
export function printActs(heading: string, acts: readonly RecordedAction[]): void {
  if (acts.length === 0) return
  print(heading)
  for (const { at, actor, action, target, operation, operationId, reason } of acts) {
    const by = operationId === null ? '' : ` by operation ${operationId}`
    const what = operation && operationId === null ? ` (${wordsOf(operation)})` : ''
    print(`  ${at.toISOString()}  ${actor}: ${action} ${target}${by}${what}${reason ? `: ${reason}` : ''}`)
  }
}

function wordsOf({ kind, expected, words }: NonNullable<RecordedAction['operation']>): string {
  return `${kind}: ${grouped(expected)} ${words}`
}
