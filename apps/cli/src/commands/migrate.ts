import { migrateSchema } from '@sluice/shared/operations'
import { Command } from 'commander'
import { print, printJson } from '../output.ts'
import { readRetentionPolicy, withStores } from '../stores.ts'

export function migrateCommand(): Command {
  return new Command('migrate')
    .description('bring the database schema to this version')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: true }) => {
      const { period } = await readRetentionPolicy()
      const before = await withStores(({ db }) => migrateSchema(db, { period }))
      if (json) return printJson({ before, now: before === 'newer' ? 'newer' : 'current' })
      if (before === 'newer') return print('The database is of a later Sluice; nothing was changed.')
      print(before === 'current' ? 'The schema is current; nothing to do.' : 'The schema is current now.')
    })
}
