import { alerting, type Check, checkClock, fail, ok, unsafe, warn } from '../runtime/check.ts'
import { describeError } from '../runtime/errors.ts'
import type { Log } from '../runtime/log.ts'
import { networkCause } from '../runtime/unreachable.ts'
import { checkArchiver } from './archiver.ts'
import { schemaState } from './migrate.ts'
import { createDb, type Db } from './pool.ts'
import { checkPartitions } from './retention-check.ts'
import { STANDBYS } from './standbys.ts'

const NAME = 'Postgres'
const MIN_VERSION = 140_000
const MAX_CAUSE = 200
const BEHIND_POOLER =
  'behind a pooler: statements have no names, and workers look into the inbox once a second'
const TURN_ON = 'Turn all three on: a crash of the machine may lose events that were answered 200.'

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
  try {
    const { rows } = await db.pool.query<Server>(ASK)
    return [
      ...checkServer(rows[0] as Server),
      ...(db.isPooled ? [ok(NAME, BEHIND_POOLER)] : []),
      ...(await checkSchema(db)),
      ...(await checkArchiver(db.pool)),
      await checkClock(NAME, async () => {
        const { rows } = await db.pool.query(
          'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
        )
        return rows[0].ms
      }),
    ]
  } catch (error) {
    const { code, message } = describeError(error)
    const cause = networkCause(error, 'DATABASE_URL')
    if (cause) return [fail(NAME, `does not answer: ${cause.text}`, cause.advice)]
    const text = `cannot be used: ${message.slice(0, MAX_CAUSE)}${code ? ` (${code})` : ''}`
    return [fail(NAME, text, 'Start it, or correct DATABASE_URL.')]
  }
}

const ASK = `select current_setting('server_version') as version,
  current_setting('server_version_num')::int as number, pg_is_in_recovery() as standby,
  current_setting('default_transaction_read_only') as readonly, current_setting('fsync') as fsync,
  current_setting('synchronous_commit') as commit, current_setting('full_page_writes') as pages,
  current_setting('synchronous_standby_names') as synchronous, (select count(*)::int ${STANDBYS}) as standbys,
  current_setting('max_connections')::int as max, current_setting('server_encoding') as encoding,
  (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used`

type Server = Readonly<
  Record<'version' | 'readonly' | 'fsync' | 'commit' | 'pages' | 'synchronous' | 'encoding', string> &
    Record<'number' | 'standbys' | 'max' | 'used', number> & { standby: boolean }
>

function checkServer(server: Server): Check[] {
  const { version, fsync, pages, commit, used, max, encoding } = server
  const isReadOnly = server.standby || server.readonly === 'on'
  const isDurable = fsync !== 'off' && pages !== 'off' && commit !== 'off'
  const durability = `fsync ${fsync}, full_page_writes ${pages}, synchronous_commit ${commit}`
  const connections = `${used} of ${max} connections in use`
  return [
    server.number >= MIN_VERSION
      ? ok(NAME, `version ${version}`)
      : fail(NAME, `version ${version}`, 'Use PostgreSQL 14 or later.'),
    isReadOnly
      ? alerting(
          'store-read-only',
          fail(NAME, 'cannot be written to', 'Point DATABASE_URL at the primary, or end its read-only mode.'),
        )
      : ok(NAME, 'primary, can be written to'),
    isDurable
      ? ok(NAME, `durable (fsync on, synchronous_commit ${commit})`)
      : unsafe('Postgres', fail(NAME, durability, TURN_ON)),
    ...checkStandbys(server),
    used <= 0.8 * max
      ? ok(NAME, connections)
      : warn(NAME, connections, 'Raise max_connections, or run fewer processes.'),
    encoding === 'UTF8'
      ? ok(NAME, 'encoding UTF8')
      : fail(
          NAME,
          `encoding ${encoding}`,
          'Use a database in UTF8. Others cannot hold every event as it was sent.',
        ),
  ]
}

function checkStandbys(server: Server): Check[] {
  if (server.standbys === 0) return []
  const count = server.standbys === 1 ? '1 standby' : `${server.standbys} standbys`
  const isWaitedFor = server.synchronous !== '' && server.commit !== 'local' && server.commit !== 'off'
  if (isWaitedFor) return [ok(NAME, `${count}, and a commit waits for one`)]
  const advice =
    'Set synchronous_standby_names: a failover may lose events that were answered 200 and those that have landed.'
  return [unsafe('Postgres', warn(NAME, `${count}, and no commit waits for one`, advice))]
}

async function checkSchema(db: Db): Promise<Check[]> {
  const state = await schemaState(db.pool)
  switch (state) {
    case 'current':
      return [ok('Schema', 'current'), ...(await checkPartitions(db.pool))]
    case 'newer':
      return [
        warn('Schema', 'newer than this Sluice', 'Deploy the same version everywhere.'),
        ...(await checkPartitions(db.pool)),
      ]
    case 'missing':
    case 'older':
      return [fail('Schema', state, 'Run `npx sluice migrate`.')]
    default:
      return state satisfies never
  }
}
