import { Command } from 'commander'
import { alertsCommand } from './commands/alerts.ts'
import { auditCommand } from './commands/audit.ts'
import { deadCommand } from './commands/dead.ts'
import { doctorCommand } from './commands/doctor.ts'
import { driftCommand } from './commands/drift.ts'
import { eraseCommand } from './commands/erase.ts'
import { eventCommand } from './commands/event.ts'
import { hashCommand } from './commands/hash.ts'
import { journeyCommand } from './commands/journey.ts'
import { migrateCommand } from './commands/migrate.ts'
import { nowCommand } from './commands/now.ts'
import { operationsCommand } from './commands/operations.ts'
import { relandCommand } from './commands/reland.ts'
import { retentionCommand } from './commands/retention.ts'
import { searchCommand } from './commands/search.ts'
import { simulateCommand } from './commands/simulate.ts'
import { startCommand } from './commands/start.ts'
import { tailCommand } from './commands/tail.ts'
import { verifyCommand } from './commands/verify.ts'
import { complain } from './output.ts'

/** The `sluice` command. */
export function createProgram(): Command {
  const program = new Command('sluice')
    .description(
      'Receives IDWise webhooks and lands each of them in PostgreSQL: none lost, each taking effect once.',
    )
    .addHelpText(
      'after',
      '\nSettings come from the environment and from .env; without a database there, from .sluice/env, which `npm start`' +
        '\nwrites. docs/operations.md describes each.',
    )
    .addCommand(startCommand())
    .addCommand(migrateCommand())
    .addCommand(doctorCommand())
    .addCommand(nowCommand())
    .addCommand(searchCommand())
    .addCommand(tailCommand())
    .addCommand(eventCommand())
    .addCommand(journeyCommand())
    .addCommand(deadCommand())
    .addCommand(operationsCommand())
    .addCommand(auditCommand())
    .addCommand(relandCommand())
    .addCommand(alertsCommand())
    .addCommand(driftCommand())
    .addCommand(retentionCommand())
    .addCommand(eraseCommand())
    .addCommand(hashCommand())
    .addCommand(simulateCommand())
    .addCommand(verifyCommand())
  makeErrorsSafe(program)
  return program
}

/** Commander prints its own errors, which quote the arguments. */
function makeErrorsSafe(command: Command): void {
  command.configureOutput({
    outputError(text) {
      for (const line of text.trimEnd().split('\n')) complain(line)
    },
  })
  for (const each of command.commands) makeErrorsSafe(each)
}
