import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDb, type Db } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { createPostgresServer, type PostgresServer } from './postgres-server.ts'
import { createRedisServer, type RedisServer } from './redis-server.ts'

/** A Redis and a Postgres for one run, in a folder that is removed with them. */
export type Stores = AsyncDisposable & {
  readonly dir: string
  readonly redis: RedisServer
  readonly postgres: PostgresServer
  /** Straight to Postgres, whose schema is not there yet. */
  readonly db: Db
}

/** @param startRedis starts another Redis than the usual one. The stack is disposed before the folder is removed. */
export async function createStores(
  name: string,
  {
    startRedis = (dir: string) => createRedisServer({ dir: join(dir, 'redis') }),
    statementMs = 10_000,
  }: {
    startRedis?: (dir: string, stack: AsyncDisposableStack) => Promise<RedisServer>
    statementMs?: number
  } = {},
): Promise<Stores> {
  await using stack = new AsyncDisposableStack()
  const dir = await makeFolder(name, stack)
  const redis = stack.use(await startRedis(dir, stack))
  const postgres = stack.use(await createPostgresServer({ dir: join(dir, 'postgres') }))
  const log = createLog(name, 'silent')
  const db = stack.use(createDb(postgres.url, { max: 3, statementMs, log, name }))
  const held = stack.move()
  return { dir, redis, postgres, db, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

async function makeFolder(name: string, stack: AsyncDisposableStack): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `sluice-${name}-`))
  stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
  // Postgres does not run as root, and its user must be able to pass through.
  await chmod(dir, 0o711)
  return dir
}
