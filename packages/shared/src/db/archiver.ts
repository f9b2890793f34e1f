import { alerting, type Check, ok, warn } from '../runtime/check.ts'
import type { Connection } from './pool.ts'

const NAME = 'Archive'
const SILENT_MS = 86_400_000

// Sluice writes all the time, signs of life at least: a day without an archived file is no quiet day.
const ASK = `select current_setting('archive_mode') <> 'off' as "isOn",
    coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as "isFailing",
    last_failed_wal as file, last_archived_time as "lastAt",
    date_part('epoch', now() - coalesce(last_archived_time, stats_reset, pg_postmaster_start_time())) * 1000 as "silentMs"
  from pg_stat_archiver`

type Archiver = {
  readonly isOn: boolean
  readonly isFailing: boolean
  readonly file: string | null
  readonly lastAt: Date | null
  readonly silentMs: number
}

/** Checks that Postgres archives its write-ahead log, if it is told to. */
export async function checkArchiver(connection: Connection): Promise<Check[]> {
  const { rows } = await connection.query<Archiver>(ASK)
  const [found] = rows
  if (!found?.isOn) return []
  const { isFailing, file, lastAt, silentMs } = found
  const last = lastAt ? `last ${lastAt.toISOString().slice(0, 16).replace('T', ' ')} UTC` : 'never yet'
  if (!isFailing && silentMs < SILENT_MS) return [ok(NAME, `the write-ahead log is archived (${last})`)]
  const text = isFailing
    ? `the write-ahead log cannot be archived since ${file} (${last})`
    : `no part of the write-ahead log was archived for a day (${last})`
  const advice =
    'See archive_command (or archive_library), archive_timeout and the log of Postgres: a restore would lack what is not archived.'
  return [alerting('backup-behind', warn(NAME, text, advice))]
}
