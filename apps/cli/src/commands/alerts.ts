import {
  ALERT_NAMES,
  acknowledgeIncident,
  alertSettings,
  deliver,
  knowInstallation,
  listIncidents,
  type Message,
  muteIncidents,
} from '@sluice/shared/operations'
import { createLog, readSettings, UserError } from '@sluice/shared/runtime'
import { Command, InvalidArgumentError } from 'commander'
import * as z from 'zod'
import { duration, personName, wholeNumberAboveZero } from '../arguments.ts'
import { print, printJson, printTable } from '../output.ts'
import { settingsOfStart, withStores } from '../stores.ts'
import { whoIsThis } from '../who.ts'

export function alertsCommand(): Command {
  return new Command('alerts')
    .description('list incidents, say that you look after one, mute a name, and try the channels of ALERTS')
    .addCommand(listCommand(), { isDefault: true })
    .addCommand(ackCommand())
    .addCommand(muteCommand())
    .addCommand(testCommand())
}

function listCommand(): Command {
  return new Command('list')
    .description('list open incidents, the gravest first')
    .option('--all', 'also the last ones that are over')
    .option('--json', 'print JSON')
    .action(async ({ all = false, json }: { all?: boolean; json?: true }) => {
      const incidents = await withStores(({ db }) => listIncidents(db.pool, { all }))
      if (json) return printJson(incidents)
      if (incidents.length === 0) return print(all ? 'No incidents.' : 'No open incidents.')
      printTable(
        incidents.map(({ id, name, severity, openedAt, notifiedAt, resolvedAt, acknowledgedBy, text }) => ({
          ...{ id, name, severity, since: openedAt, told: notifiedAt },
          ...(all && { over: resolvedAt }),
          by: acknowledgedBy,
          what: text.split('\n')[0]?.slice(0, 100),
        })),
      )
    })
}

type Act = { actor?: string; reason?: string; json?: true }

function ackCommand(): Command {
  return new Command('ack')
    .description('note that somebody looks after an incident')
    .argument('<id>', 'its number', wholeNumberAboveZero)
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--reason <text>', 'why, for the record')
    .option('--json', 'print JSON')
    .action(async (id: number, { actor = whoIsThis(), reason, json }: Act) => {
      const isOpen = await withStores(({ db }) => acknowledgeIncident(db, { id, actor, reason }))
      if (!isOpen)
        throw new UserError(`No incident ${id} is open. \`npx sluice alerts list\` shows those that are.`)
      if (json) return printJson({ id, acknowledgedBy: actor })
      print(`${actor} looks after incident ${id}.`)
    })
}

function muteCommand(): Command {
  return new Command('mute')
    .description('hold back the messages of a name for a while')
    .argument('<name>', 'such as dead-letters', alertName)
    .argument('<duration>', 'such as 30m or 2h; 0 ends it', (text) => (text === '0' ? 0 : duration(text)))
    .option('--actor <name>', 'who, for the record (default: the user that runs this)', personName)
    .option('--reason <text>', 'why, for the record')
    .option('--json', 'print JSON')
    .action(async (name: string, ms: number, { actor = whoIsThis(), reason, json }: Act) => {
      const until = await withStores(({ db }) => muteIncidents(db, { name, ms, actor, reason }))
      if (json) return printJson({ name, until })
      if (ms === 0) return print(`People are told of ${name} again.`)
      print(`Nothing is told of ${name} until ${until.toISOString().slice(0, 16).replace('T', ' ')} UTC.`)
    })
}

function alertName(text: string): string {
  if (!ALERT_NAMES.includes(text))
    throw new InvalidArgumentError(`It must be one of ${ALERT_NAMES.join(', ')}.`)
  return text
}

const LIMIT_MS = 15_000

function testCommand(): Command {
  return new Command('test')
    .description('send a test message to each channel of ALERTS')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: true }) => {
      const { ALERTS: channels = [] } = readSettings(
        await settingsOfStart(),
        z.object({ ALERTS: alertSettings.ALERTS }),
      )
      if (channels.length === 0)
        throw new UserError('ALERTS names no channel. docs/operations.md describes it.')
      const message: Message = {
        kind: 'opened',
        isAgain: false,
        name: 'test',
        severity: 'notice',
        key: `test ${Date.now()}`,
        text: 'This is a test. Nothing is wrong.',
        at: new Date(),
      }
      const log = createLog('sluice', 'warn')
      const stop = AbortSignal.timeout(LIMIT_MS)
      const took = await withStores(({ db }) =>
        deliver({ channels, installation: knowInstallation(db), metrics: undefined, log }, message, {
          stop,
          tries: 1,
        }),
      )
      if (took.length < channels.length) process.exitCode = 1
      if (json) return printJson({ channels: channels.length, took })
      print(
        `${took.length} of ${channels.length} channels took the message${took.length > 0 ? ` (${took.join(', ')})` : ''}.`,
      )
    })
}
