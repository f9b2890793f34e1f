import { readIngestConfig } from '@sluice/ingest'
import { examine, readState } from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { readWorkerConfig } from '@sluice/worker'
import { Command } from 'commander'
import { print, printJson } from '../output.ts'
import { hasDatabase, NO_DATABASE, settingsOfStart, withStores } from '../stores.ts'

const MARKS = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' }

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check settings, stores and processes; exit code 1 if anything is broken')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: true }) => {
      const env = await settingsOfStart()
      if (!hasDatabase(env)) throw new UserError(NO_DATABASE)
      const { level: now, sentence } = await withStores((stores) => readState(stores, { redisMs: 2_000 }))
      const checks = await examine(env, [readIngestConfig, readWorkerConfig], withStores)
      const failed = checks.filter(({ level }) => level === 'fail').length
      const warned = checks.filter(({ level }) => level === 'warn').length
      if (failed > 0) process.exitCode = 1
      if (json) return printJson({ ok: failed === 0, now: { level: now, sentence }, checks })
      print(sentence)
      print()
      const width = Math.max(...checks.map(({ name }) => name.length))
      for (const { name, level, text, advice } of checks) {
        print(`${MARKS[level]}  ${name.padEnd(width)}  ${text}`)
        if (advice) print(`      ${''.padEnd(width)}  → ${advice}`)
      }
      print()
      print(closingLine(now, { failed, warned }))
    })
}

/** @param now the level of the state, which knows of more than the checks do */
export function closingLine(
  now: 'ok' | 'warn' | 'fail',
  { failed, warned }: { failed: number; warned: number },
): string {
  if (failed + warned > 0) return `${failed} failed, ${warned} warned.`
  return now === 'ok' ? 'All is well.' : 'The checks found nothing; the first line says what is not well.'
}
