import { migrateSchema } from '@sluice/shared/operations'
import { Command } from 'commander'
import { print, printJson } from '../output.ts'
import { readRetentionPolicy, withStores } from '../stores.ts'

export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database schema to this version')
    .option('--wait', 'wait until no worker of another release runs, if the migration needs that')
    .option('--json', 'print JSON')
    .action(async ({ wait = false, json }: { wait?: boolean; json?: true }) => {
      const { period } = await readRetentionPolicy()
      const report = json ? undefined : print
      const before = await withStores(({ db }) =>
        migrateSchema(db, { period, wait, ...(report && { report }) }),
      )
      if (json) return printJson({ before, now: before === 'newer' ? 'newer' : 'current' })
      if (before === 'newer') return print('The database is of a later Sluice; nothing was changed.')
      print(before === 'current' ? 'The schema is current; nothing to do.' : 'The schema is current now.')
    })
}
