import { hash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { readConsoleConfig, startConsole } from '@sluice/console'
import { createLog } from '@sluice/shared/runtime'
import { fillTables } from '../fill.ts'
import { median, percentile } from '../machine.ts'
import type { World } from '../world.ts'
import { measureLanding } from './landing.ts'

/** A page, or an answer of the API, over large tables. Times are ms from the request to the last byte. */
export type PageFigures = {
  readonly name: string
  readonly p50: number
  readonly p95: number
  /** Pages of 8 kB that Postgres reads for it, from memory or from disk. */
  readonly buffers: number
  /** p95 at most, ms, on a quiet machine with two cores; undefined: no aim. */
  readonly aim: number | undefined
}

/** Landing a backlog, events a second: alone, and while so many lists are asked for at once. */
export type LandingBesidePages = { readonly alone: number; readonly beside: number; readonly ratio: number }

const REQUESTS = 100
const AT_ONCE = 200
const BACKLOG = 80_000
const LANDING_ROUNDS = 3
/** Until the worker has warmed up. */
const WARM_UP_MS = 2_500
const LETTERS = 100_000
/** As a person gets there, by its links. */
const PAGES_ON = 2_000
const CREDENTIAL = 'viewer:bench:a-secret-of-the-bench'
/** Postgres counts what a session has read about a second after its transaction. */
const COUNTED_MS = 1_500

const DEAD_LETTERS = `
insert into dead_letters (job_id, event_key, environment, event, event_id, journey_id, reference_no, reason, error_class,
  error_message, fingerprint, attempts, raw, envelope, received_at, first_failed_at, last_failed_at)
select 'e-' || encode(sha256(('dead' || n)::bytea), 'hex'), sha256(('dead' || n)::bytea), 'live', 'Finished Step',
  'dead-' || n, 'grown-' || n, 'CUST-' || n, (array['rejected_by_database', 'conflict', 'attempts_exhausted'])[1 + n % 3],
  'error 22003', 'numeric field overflow ' || n, 'fingerprint-' || n % 3, 1, '{}', '{}', now(),
  now() - n * interval '1 second', now() - n * interval '1 second'
from generate_series(1, ${LETTERS}) as n`

/** Measures each page of the console one request after another, over so many events in 37 partitions. */
export async function measurePages(
  world: World,
  events: number,
  report: (line: string) => void,
): Promise<{ figures: PageFigures[]; landing: LandingBesidePages }> {
  const { db } = world
  await fillTables(db, { from: 0, to: events, most: events }, report)
  await db.pool.query(DEAD_LETTERS)
  await db.pool.query('vacuum analyze dead_letters')
  await using console = await startConsole(
    readConsoleConfig({ ...world.env, CONSOLE_CREDENTIALS: CREDENTIAL }),
    { log: createLog('bench', 'error') },
  )
  const base = `http://127.0.0.1:${console.port}`
  const figures: PageFigures[] = []
  for (const { name, path, aim } of await pagesOver(world, base, events)) {
    report(name)
    figures.push({ name, aim, ...(await measurePage(world, base + path)) })
  }
  return { figures, landing: await measureBeside(world, base, report) }
}

async function measureBeside(
  world: World,
  base: string,
  report: (line: string) => void,
): Promise<LandingBesidePages> {
  const land = async (beside?: () => Promise<void>) =>
    (await measureLanding(world, 'S', { count: BACKLOG, keep: true, ...(beside && { beside }) })).perSecond
  async function askLists(): Promise<void> {
    await pause(WARM_UP_MS)
    await Promise.all(Array.from({ length: AT_ONCE }, () => get(`${base}/events`)))
  }
  const rounds: { alone: number; beside: number }[] = []
  for (let round = 1; round <= LANDING_ROUNDS; round++) {
    report(`landing beside ${AT_ONCE} lists: round ${round}`)
    const alone = await land()
    rounds.push({ alone, beside: await land(askLists) })
  }
  return {
    alone: median(rounds.map(({ alone }) => alone)),
    beside: median(rounds.map(({ beside }) => beside)),
    ratio: median(rounds.map(({ alone, beside }) => beside / alone)),
  }
}

type Page = { readonly name: string; readonly path: string; readonly aim?: number }

async function pagesOver({ db }: World, base: string, events: number): Promise<Page[]> {
  const some = Math.floor(events / 2)
  const key = hash('sha256', `key${some}`, 'hex')
  const { rows } = await db.pool.query<{ id: number }>('select max(id)::int as id from dead_letters')
  return [
    { name: 'no page: a probe', path: '/livez' },
    { name: 'overview', path: '/', aim: 50 },
    { name: 'events, newest', path: '/events', aim: 100 },
    {
      name: `events, page ${PAGES_ON}`,
      path: await pageOn(base, '/api/v1/events?limit=50', PAGES_ON),
      aim: 100,
    },
    { name: 'events, duplicates', path: '/events?view=duplicates', aim: 500 },
    { name: 'events, waiting', path: '/events?view=waiting', aim: 100 },
    { name: 'events of one decision', path: '/events?decision=Incomplete', aim: 250 },
    { name: 'search: reference number', path: `/search?q=CUST-${Math.floor(some / 5)}`, aim: 50 },
    { name: 'search: its beginning', path: `/search?q=CUST-${String(some).slice(0, 4)}`, aim: 50 },
    { name: 'search: event key', path: `/search?q=${key}`, aim: 50 },
    { name: 'search: nothing', path: '/search?q=no-such-thing', aim: 50 },
    { name: 'event', path: `/events/${key}`, aim: 50 },
    { name: 'journey', path: `/journeys/live/grown-${Math.floor(some / 5)}`, aim: 100 },
    { name: `dead letters, ${LETTERS.toLocaleString('en')} open`, path: '/dead-letters', aim: 300 },
    { name: 'dead letter', path: `/dead-letters/${rows[0]?.id}`, aim: 50 },
    { name: 'operations', path: '/operations', aim: 50 },
    { name: 'audit', path: '/audit', aim: 50 },
  ]
}

/** Follows a list of the API. @returns the path of a later page */
async function pageOn(base: string, path: string, pages: number): Promise<string> {
  let next = path
  for (let n = 0; n < pages; n++) next = (JSON.parse(await get(base + next)) as { next: string }).next
  return next
}

async function measurePage(
  { db }: World,
  url: string,
): Promise<Pick<PageFigures, 'p50' | 'p95' | 'buffers'>> {
  for (let n = 0; n < 5; n++) await get(url)
  const read = async () => {
    await pause(COUNTED_MS)
    const { rows } = await db.pool.query<{ blocks: number }>(
      'select (blks_hit + blks_read)::float8 as blocks from pg_stat_database where datname = current_database()',
    )
    return rows[0]?.blocks ?? 0
  }
  const idle = await read()
  const before = await read()
  const times: number[] = []
  for (let n = 0; n < REQUESTS; n++) {
    const began = performance.now()
    await get(url)
    times.push(performance.now() - began)
  }
  // What reading the figure itself and idle processes cost is taken off.
  const buffers = ((await read()) - before - (before - idle)) / REQUESTS
  return {
    p50: percentile(times, 0.5),
    p95: percentile(times, 0.95),
    buffers: Math.max(0, Math.round(buffers)),
  }
}

async function get(url: string): Promise<string> {
  const [, user, secret] = CREDENTIAL.split(':')
  const response = await fetch(url, {
    redirect: 'manual',
    headers: {
      authorization: `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`,
      accept: 'text/html',
    },
  })
  const text = await response.text()
  if (response.status >= 400) throw new Error(`${url}: ${response.status} ${text.slice(0, 200)}`)
  return text
}
