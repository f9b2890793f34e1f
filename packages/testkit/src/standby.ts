import { execFile } from 'node:child_process'
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createPostgresServer, type PostgresServer } from './postgres-server.ts'

/**
 * Starts a primary and its standby.
 *
 * @param dir an empty folder that the user of Postgres can enter
 */
export async function createPrimaryAndStandby(
  dir: string,
  { synchronous }: { synchronous: boolean },
): Promise<{ primary: PostgresServer; standby: PostgresServer } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack()
  const primary = stack.use(await createPostgresServer({ dir: join(dir, 'primary') }))
  await primary.stop()
  await mkdir(join(dir, 'standby'), { mode: 0o711 })
  const copy = join(dir, 'standby', 'postgres')
  // With its owner, which Postgres asks for.
  await promisify(execFile)('cp', ['-a', primary.data, copy])
  await writeFile(join(copy, 'standby.signal'), '')
  await appendFile(
    join(copy, 'postgresql.auto.conf'),
    `primary_conninfo = '${primary.url}'\nhot_standby = on\n`,
  )
  if (synchronous) {
    await appendFile(join(primary.data, 'postgresql.auto.conf'), `synchronous_standby_names = '*'\n`)
  }
  await primary.start()
  const standby = stack.use(await createPostgresServer({ dir: join(dir, 'standby') }))
  const held = stack.move()
  return { primary, standby, [Symbol.asyncDispose]: () => held.disposeAsync() }
}
