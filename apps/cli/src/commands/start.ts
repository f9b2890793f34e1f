import { createLog, runUntilSignal } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { print } from '../output.ts'
import { startHere } from '../start/start.ts'

export function startCommand(): Command {
  return new Command('start')
    .description('run everything in one process, with an embedded Postgres unless DATABASE_URL is set')
    .option('--no-redis', 'run without Redis: all events go through the inbox in Postgres')
    .addHelpText(
      'after',
      '\nIf REDIS_URL is set, it uses that Redis; else a private one, if redis-server or valkey-server is installed.' +
        '\nData, logs and the credentials that the first start generates are in .sluice/. It shows warnings and errors;' +
        '\nLOG_LEVEL=info shows more.',
    )
    .action(async (options: { redis: boolean }) => {
      const log = createLog('sluice', process.env.LOG_LEVEL || 'warn')
      await runUntilSignal((stop) => startHere({ stop, log, useRedis: options.redis, print }), {
        log,
        graceMs: 40_000,
      })
    })
}
