import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDb, type Db, migrateSchema, rebuildJourneys } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { PROGRAMS, run } from '@sluice/testkit/process'
import { program } from '@sluice/testkit/programs'
import { compareWithLedger, playIdwise } from '@sluice/testkit/simulation'
import { type SystemPostgres, startSystemPostgres } from '@sluice/testkit/system-postgres'
import { createWorld, type Door, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const log = createLog('test', 'fatal')

describe.skipIf(!program('postgresql'))('a pg_dump that was made under load, and restored', () => {
  let stack: AsyncDisposableStack
  let folder: string
  let postgres: SystemPostgres
  let world: World
  let door: Door
  let source: Db

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    folder = await mkdtemp(join(tmpdir(), 'sluice-backup-'))
    stack.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
    await chmod(folder, 0o755)
    postgres = stack.use(await startSystemPostgres(program('postgresql') ?? '', folder))
    source = open(postgres.url)
    await migrateSchema(source)
    world = stack.use(await createWorld('redis'))
    door = stack.use(await openDoor(world, { databaseUrl: postgres.url }))
  })
  afterEach(() => stack.disposeAsync())

  const open = (url: string) => stack.use(createDb(url, { max: 3, statementMs: 30_000, log, name: 'test' }))

  it('has once what had landed before, and the rest lands from its inbox and from Redis', async () => {
    const worker = await openWorker(world, { databaseUrl: postgres.url })
    const others = new Set(await fillInbox())
    const ledger = join(folder, 'run.ledger')
    const options = {
      seed: folder,
      ratePerSecond: 250,
      timeoutMs: 10_000,
      timeScale: 600,
      ledgerPath: ledger,
    }
    const sending = playIdwise({ url: door.url, journeys: 160, ...options })
    const before = await eventually(async () => {
      const landed = await eventsOf(source)
      return landed.size > 200 && landed
    }, 40_000)

    const dumpFile = join(folder, 'sluice.dump')
    await writeFile(dumpFile, await postgres.dump('--format=custom'))

    expect(await sending).toMatchObject({ complete: true })
    await eventually(async () => (await compareWithLedger(source, ledger)).missing === 0, 40_000)
    const all = await eventsOf(source)
    // From here on that database is lost.
    await worker[Symbol.asyncDispose]()
    const databaseUrl = await postgres.restore(dumpFile, 'restored')
    const restored = open(databaseUrl)

    const dumped = await eventsOf(restored)
    expect(missingIn(dumped, before)).toEqual([])
    const left = missingIn(dumped, all)
    expect(left.length).toBeGreaterThan(100)
    await expectNothingWrong(restored, ledger)
    await expectRebuildChangesNothing(restored)

    expect(await migrateSchema(restored)).toBe('current')
    const newDoor = stack.use(await openDoor(world, { databaseUrl }))
    for (const eventId of await post(newDoor)) others.add(eventId)
    await restored.pool.query('update inbox set available_at = now()')
    stack.use(await openWorker(world, { databaseUrl }))
    await using reland = run(PROGRAMS.cli, ['reland'], { ...world.env, DATABASE_URL: databaseUrl })
    expect(await reland.exited, reland.output()).toBe(0)

    // Of what came by the inbox alone, Redis has no copy.
    const lost = new Set(left.filter((name) => all.get(name) === 'inbox'))
    const landed = await eventually(async () => {
      const found = await eventsOf(restored)
      const isBack = missingIn(found, all).every((name) => lost.has(name))
      return isBack && found.size >= all.size - lost.size + others.size && found
    }, 40_000)
    expect(missingIn(all, landed)).toHaveLength(others.size)
    const report = await expectNothingWrong(restored, ledger, others)
    expect(report.missing).toBeLessThanOrEqual(lost.size)
    // A delivery that the dump has counts nothing when it lands again, unless it is a redelivery without event id.
    expect(report.overcounted).toBeLessThanOrEqual(report.requests / 100)
    await expectRebuildChangesNothing(restored)
  }, 180_000)

  /** Events that wait in the inbox for an hour. @returns their ids */
  async function fillInbox(): Promise<string[]> {
    const later = (from: string) =>
      source.pool.query(`alter table inbox alter column available_at set default ${from}`)
    await using inboxDoor = await openDoor(world, { databaseUrl: postgres.url, queue: undefined })
    await later(`now() + interval '1 hour'`)
    const eventIds = await post(inboxDoor)
    await later('now()')
    return eventIds
  }
})

/** Events that the ledger does not know. @returns their ids */
async function post(door: Door): Promise<string[]> {
  const events = Array.from({ length: 20 }, () => finishedJourney())
  for (const { bytes } of events) expect((await door.post(new Uint8Array(bytes))).status).toBe(200)
  return events.map(({ eventId }) => eventId)
}

const missingIn = (found: ReadonlyMap<string, unknown>, wanted: ReadonlyMap<string, unknown>) =>
  [...wanted.keys()].filter((name) => !found.has(name))

/** Every event by its environment, id and bytes, with the way that it came. */
async function eventsOf({ pool }: Db): Promise<Map<string, string>> {
  const { rows } = await pool.query<{ name: string; via: string }>(
    `select concat_ws(' ', environment, event_id, encode(sha256(raw), 'hex')) as name, via from events`,
  )
  expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
  return new Map(rows.map(({ name, via }) => [name, via]))
}

/** Whatever is there was sent, and is there once and unaltered. */
async function expectNothingWrong(db: Db, ledger: string, unknown?: Set<string>) {
  const report = await compareWithLedger(db, ledger, unknown)
  const { mismatched, alteredRows, landedTwice, nobodySent, journeysDiffering, deadLetters } = report
  expect(
    [mismatched, alteredRows, landedTwice, nobodySent, journeysDiffering, deadLetters],
    report.findings.join('\n'),
  ).toEqual([0, 0, 0, 0, 0, 0])
  return report
}

async function expectRebuildChangesNothing(db: Db): Promise<void> {
  const { changed, folded } = await rebuildJourneys(db)
  expect(folded).toBeGreaterThan(0)
  expect(changed).toBe(0)
}
