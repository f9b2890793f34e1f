import { readIngestConfig } from '@sluice/ingest'
import { checkPostgres, checkProcesses } from '@sluice/shared/db'
import { createRedisCheck } from '@sluice/shared/queue'
import { type Check, type Env, fail, ok, settingsProblems, UserError } from '@sluice/shared/runtime'
import { readWorkerConfig } from '@sluice/worker'
import { Command } from 'commander'
import { print, printJson } from '../output.ts'
import { hasDatabase, NO_DATABASE, settingsOfStart, withStores } from '../stores.ts'

const MARKS = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' }

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('check settings and stores; exit code 1 where something is broken')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: true }) => {
      const checks = await examine()
      const failed = checks.filter(({ level }) => level === 'fail').length
      const warned = checks.filter(({ level }) => level === 'warn').length
      if (failed > 0) process.exitCode = 1
      if (json) return printJson({ ok: failed === 0, checks })
      const width = Math.max(...checks.map(({ name }) => name.length))
      for (const { name, level, text, advice } of checks) {
        print(`${MARKS[level]}  ${name.padEnd(width)}  ${text}`)
        if (advice) print(`      ${''.padEnd(width)}  → ${advice}`)
      }
      print()
      print(failed + warned === 0 ? 'All is well.' : `${failed} failed, ${warned} warned.`)
    })
}

async function examine(): Promise<Check[]> {
  const env = await settingsOfStart()
  if (!hasDatabase(env)) throw new UserError(NO_DATABASE)
  const settings = checkSettings(env)
  try {
    return await withStores(async ({ db, location }) => [
      ...settings,
      ...(await checkPostgres(db)),
      ...(location
        ? await createRedisCheck(location)()
        : [ok('Redis', 'not configured: events go through the inbox in Postgres')]),
      ...(await checkProcesses(db)),
    ])
  } catch (error) {
    // Settings that keep the stores from being opened are among the problems already.
    if (error instanceof UserError && settings.some(({ level }) => level === 'fail')) return settings
    throw error
  }
}

function checkSettings(env: Env): Check[] {
  const problems = settingsProblems(env, [readIngestConfig, readWorkerConfig])
  if (problems.length === 0) return [ok('Settings', 'complete')]
  return problems.map((problem) => fail('Settings', problem, 'docs/operations.md describes each setting.'))
}
