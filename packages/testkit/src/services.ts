import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findRedis, startPostgres, startRedis } from '@sluice/embedded'
import { createDb, migrateSchema, pingPostgres } from '@sluice/shared/db'
import { pingRedis } from '@sluice/shared/queue'
import { createLog, UserError } from '@sluice/shared/runtime'
import type { TestProject } from 'vitest/node'
import { keepPostgresData, POSTGRES_PASSWORD } from './postgres-data.ts'
import { canInstall, findPrograms, install } from './programs.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** A server on which each test makes its database. */
    postgresUrl: string
    redisUrl: string
    /** A migrated database to clone. */
    template: string
  }
}

/**
 * Finds or starts the stores of the tests: those in TEST_REDIS_URL and TEST_DATABASE_URL, else containers if Docker
 * answers, else programs of this machine.
 */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const stack = new AsyncDisposableStack()
  const stateDir = await mkdtemp(join(tmpdir(), 'sluice-test-'))
  stack.defer(() => rm(stateDir, { recursive: true, force: true }))
  try {
    const docker = dockerMayAnswer()
    const postgresUrl =
      process.env.TEST_DATABASE_URL ?? (docker && (await containedPostgres(stack))) ?? undefined
    const redisUrl = process.env.TEST_REDIS_URL ?? (docker && (await containedRedis(stack))) ?? undefined
    const stores = {
      postgresUrl: postgresUrl || (await localPostgres(stack, stateDir)),
      redisUrl: redisUrl || (await localRedis(stack, stateDir)),
    }
    project.provide('postgresUrl', stores.postgresUrl)
    project.provide('redisUrl', stores.redisUrl)
    project.provide('programs', await findPrograms())
    project.provide('template', await makeTemplate(stack, stores.postgresUrl))
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
  return () => stack.disposeAsync()
}

function dockerMayAnswer(): boolean {
  return process.env.DOCKER_HOST !== undefined || existsSync('/var/run/docker.sock')
}

async function containedPostgres(stack: AsyncDisposableStack): Promise<string | undefined> {
  const { PostgreSqlContainer } = await import('@testcontainers/postgresql')
  return contained('Postgres', async () => {
    const container = await new PostgreSqlContainer('postgres:17')
      .withUsername('sluice')
      .withPassword(POSTGRES_PASSWORD)
      .start()
    stack.defer(async () => void (await container.stop()))
    return container.getConnectionUri()
  })
}

async function containedRedis(stack: AsyncDisposableStack): Promise<string | undefined> {
  const { RedisContainer } = await import('@testcontainers/redis')
  return contained('Redis', async () => {
    const container = await new RedisContainer('redis:8').start()
    stack.defer(async () => void (await container.stop()))
    return container.getConnectionUrl()
  })
}

async function contained(name: string, start: () => Promise<string>): Promise<string | undefined> {
  try {
    const url = await start()
    console.info(`${name} for the tests: a container`)
    return url
  } catch (error) {
    console.info(`No container for ${name} (${(error as Error).message}); taking this machine's`)
    return undefined
  }
}

async function localPostgres(stack: AsyncDisposableStack, stateDir: string): Promise<string> {
  const options = { stateDir, password: POSTGRES_PASSWORD, ping: pingPostgres, report: console.info }
  const first = await startPostgres(options)
  await first.stop(10_000)
  await keepPostgresData(stateDir)
  const postgres = await startPostgres(options)
  stack.defer(() => postgres.stop(10_000))
  return postgres.url
}

async function localRedis(stack: AsyncDisposableStack, stateDir: string): Promise<string> {
  let found = await findRedis()
  if ('reason' in found && canInstall()) {
    console.info('Installing redis-server with apt for the tests …')
    await install('redis-server')
    found = await findRedis()
  }
  if ('reason' in found) {
    throw new UserError(
      `The tests need Redis: ${found.reason}. Install redis-server 6.2 or later, or set TEST_REDIS_URL.`,
    )
  }
  const redis = await startRedis({
    stateDir,
    password: POSTGRES_PASSWORD,
    binary: found.path,
    ping: pingRedis,
    report: console.info,
  })
  stack.defer(() => redis.stop(10_000))
  return redis.url
}

async function makeTemplate(stack: AsyncDisposableStack, postgresUrl: string): Promise<string> {
  const template = `sluice_template_${process.pid}`
  const log = createLog('test', 'warn')
  await using admin = createDb(postgresUrl, { max: 1, statementMs: 30_000, log, name: 'tests' })
  await admin.pool.query(`create database ${template}`)
  stack.defer(async () => {
    await using db = createDb(postgresUrl, { max: 1, statementMs: 30_000, log, name: 'tests' })
    await db.pool.query(`drop database if exists ${template} with (force)`)
  })
  const url = new URL(postgresUrl)
  url.pathname = `/${template}`
  await using db = createDb(url.href, { max: 1, statementMs: 30_000, log, name: 'tests' })
  await migrateSchema(db)
  return template
}
