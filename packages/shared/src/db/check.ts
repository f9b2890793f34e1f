import { type Check, checkClock, fail, ok, unsafe, warn } from '../runtime/check.ts'
import { describeError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { networkCause } from '../runtime/unreachable.ts'
import { schemaState } from './migrate.ts'
import { createDb, type Db } from './pool.ts'

const MIN_VERSION = 130_000
const MAX_CAUSE = 200

/**
 * `checkPostgres` on a new session. Settings of a role, a database or the server reach new sessions first, and a pool
 * keeps old ones.
 */
export async function checkNewSession(url: string, options: { log: Log; name: string }): Promise<Check[]> {
  await using db = createDb(url, { max: 1, statementMs: 3_000, ...options })
  return await checkPostgres(db)
}

/**
 * Checks whether this Postgres can keep Sluice's promises: it is reachable, writable, durable and migrated, and its
 * clock is right.
 */
export async function checkPostgres(db: Db): Promise<Check[]> {
  const name = 'Postgres'
  try {
    const { rows } = await db.pool.query(`select current_setting('server_version') as version,
      current_setting('server_version_num')::int as number, pg_is_in_recovery() as standby,
      current_setting('default_transaction_read_only') as readonly, current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as commit, current_setting('full_page_writes') as pages,
      current_setting('synchronous_standby_names') as synchronous, (${STANDBYS}) as standbys,
      current_setting('max_connections')::int as max, current_setting('server_encoding') as encoding,
      (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used`)
    const server = rows[0]
    return [
      server.number < MIN_VERSION
        ? fail(name, `version ${server.version}`, 'Use PostgreSQL 13 or later.')
        : ok(name, `version ${server.version}`),
      server.standby || server.readonly === 'on'
        ? fail(name, 'cannot be written to', 'Point DATABASE_URL at the primary, or end its read-only mode.')
        : ok(name, 'primary, can be written to'),
      server.fsync === 'off' || server.pages === 'off' || server.commit === 'off'
        ? unsafe(
            'Postgres',
            fail(
              name,
              `fsync ${server.fsync}, full_page_writes ${server.pages}, synchronous_commit ${server.commit}`,
              'Turn all three on: a crash of the machine may lose events that were answered 200.',
            ),
          )
        : ok(name, `durable (fsync on, synchronous_commit ${server.commit})`),
      ...checkStandbys(server),
      ...(db.isPooled
        ? [
            ok(
              name,
              'behind a pooler: statements have no names, and workers look into the inbox once a second',
            ),
          ]
        : []),
      server.used > 0.8 * server.max
        ? warn(
            name,
            `${server.used} of ${server.max} connections in use`,
            'Raise max_connections, or run fewer processes.',
          )
        : ok(name, `${server.used} of ${server.max} connections in use`),
      server.encoding === 'UTF8'
        ? ok(name, 'encoding UTF8')
        : fail(
            name,
            `encoding ${server.encoding}`,
            'Use a database in UTF8. Other encodings cannot hold every event as it was sent.',
          ),
      await checkSchema(db),
      await checkClock(name, async () => {
        const { rows } = await db.pool.query(
          'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
        )
        return rows[0].ms
      }),
    ]
  } catch (error) {
    const { code, message } = describeError(error)
    const cause = networkCause(error, 'DATABASE_URL')
    if (cause) return [fail(name, `does not answer: ${cause.text}`, cause.advice)]
    const text = `cannot be used: ${message.slice(0, MAX_CAUSE)}${code ? ` (${code})` : ''}`
    return [fail(name, text, 'Start it, or correct DATABASE_URL.')]
  }
}

/**
 * Counts the standbys that can take over. Subscribers to single tables cannot, nor can a running backup. A role without
 * rights sees the other columns of pg_stat_replication as null, but it sees every row.
 */
const STANDBYS = `select count(*)::int from pg_stat_replication where state is distinct from 'backup' and pid not in (
  select active_pid from pg_replication_slots where slot_type = 'logical' and active_pid is not null)`

function checkStandbys(server: { standbys: number; synchronous: string; commit: string }): Check[] {
  if (server.standbys === 0) return []
  const count = server.standbys === 1 ? '1 standby' : `${server.standbys} standbys`
  const isWaitedFor = server.synchronous !== '' && server.commit !== 'local' && server.commit !== 'off'
  if (isWaitedFor) return [ok('Postgres', `${count}, and a commit waits for one`)]
  const advice =
    'Set synchronous_standby_names: a failover may lose events that were answered 200 and those that have landed.'
  return [unsafe('Postgres', warn('Postgres', `${count}, and no commit waits for one`, advice))]
}

async function checkSchema(db: Db): Promise<Check> {
  const state = await schemaState(db.pool)
  switch (state) {
    case 'current':
      return ok('Schema', 'current')
    case 'newer':
      return warn('Schema', 'newer than this Sluice', 'Deploy the same version everywhere.')
    case 'missing':
    case 'older':
      return fail('Schema', state, 'Run `sluice migrate`.')
    default:
      return state satisfies never
  }
}
