import { hash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { acceptTerms } from '@sluice/shared/db'
import { erase, planErasure, reapplyErasures, retainOnce, verifyErasures } from '@sluice/shared/operations'
import { createLog } from '@sluice/shared/runtime'
import { run } from '@sluice/testkit/process'
import { makeRoot } from '@sluice/testkit/sandbox'
import { createWorld, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, expect, it } from 'vitest'

const ADA = 'journey-of-ada-7f3a'
const BOB = 'journey-of-bob-55'

let stack: AsyncDisposableStack
let world: World
let archives: string
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  world = stack.use(await createWorld('inbox'))
  archives = makeRoot()
})
afterEach(() => stack.disposeAsync())

const storesOf = (dir: string | undefined) => ({
  db: world.db,
  queue: undefined,
  location: undefined,
  copies: { archives: dir },
})
const sought = { kind: 'journey', name: ADA } as const
const archived = (name: string) =>
  [
    ...gunzipSync(readFileSync(join(archives, `${name}.jsonl.gz`)))
      .toString()
      .matchAll(/"id":"([^"]+)"/g),
  ].map(([, id]) => id)

it('an erasure finds an archive that retention writes while it searches', async () => {
  const stores = storesOf(archives)
  const plan = await planErasure(stores, sought)
  let isWritten = false
  const report = (line: string) => {
    if (line !== 'deleting rows' || isWritten) return
    writeArchive('events_20260101', [ADA, BOB])
    isWritten = true
  }
  await erase(stores, plan, { actor: 'me', report })
  expect(archived('events_20260101')).toEqual([BOB])
})

it('an erasure that dies between an archive and its manifest goes on', async () => {
  writeArchive('events_20260101', [ADA, BOB])
  const args = ['erase', '--journey', ADA, '--yes', '--json']
  for (const SLUICE_FAILPOINT of ['archive-without-manifest', '']) {
    await using command = run('apps/cli/src/main.ts', args, {
      ...world.env,
      ARCHIVE_DIR: archives,
      SLUICE_FAILPOINT,
    })
    expect(await command.exited, command.output()).toBe(SLUICE_FAILPOINT ? 'SIGKILL' : 0)
  }
  expect(archived('events_20260101')).toEqual([BOB])
  expect(await verifyErasures(storesOf(archives), [])).toMatchObject({ problems: [] })
})

it('what an archive has is found after an erasure that did not see it, and goes by the same command', async () => {
  const first = await planErasure(storesOf(undefined), sought)
  await erase(storesOf(undefined), first, { actor: 'me' })
  writeArchive('events_20260101', [ADA, BOB, ADA])
  const stores = storesOf(archives)
  expect((await verifyErasures(stores, [])).problems).toEqual([expect.stringMatching(/2 found in archives/)])
  const plan = await planErasure(stores, sought)
  expect(plan.archived).toBe(2)
  await erase(stores, plan, { actor: 'me' })
  expect(archived('events_20260101')).toEqual([BOB])

  // As a backup would bring it back.
  writeArchive('events_20260101', [ADA, BOB])
  expect((await reapplyErasures(stores, [], { actor: 'me' })).erasures).toHaveLength(1)
  expect(archived('events_20260101')).toEqual([BOB])
})

it('nothing is erased while archives of dropped events are out of sight, or are not what their manifests say', async () => {
  await acceptArchives()
  await world.rows('update retention set dropped_before = now()')
  await expect(planErasure(storesOf(undefined), sought)).rejects.toThrow(/set ARCHIVE_DIR/)
  await expect(planErasure(storesOf(archives), sought)).rejects.toThrow(/has no archive/)
  await expect(planErasure(storesOf(join(archives, 'none')), sought)).rejects.toThrow(/has no archive/)
  await expect(verifyErasures(storesOf(undefined), [])).rejects.toThrow(/set ARCHIVE_DIR/)

  writeArchive('events_20260101', [ADA, BOB])
  const manifest = join(archives, 'events_20260101.json')
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"events":2', '"events":1'))
  const plan = await planErasure(storesOf(archives), sought)
  await expect(erase(storesOf(archives), plan, { actor: 'me' })).rejects.toThrow(/not what its manifest says/)
  expect(archived('events_20260101')).toEqual([ADA, BOB])
})

async function acceptArchives(): Promise<void> {
  const terms = { events: 30, keys: null, deadLetters: null, archive: true }
  const stop = new AbortController().signal
  const log = createLog('test', 'silent')
  await retainOnce({ db: world.db, log, stop }, { period: 'month', terms, archiveDir: archives })
  await acceptTerms(world.db, { actor: 'me' })
}

function writeArchive(partition: string, journeys: readonly string[]): void {
  const lines = journeys.map((journeyId, n) => {
    const raw = JSON.stringify({ event: 'Finished Step', body: { eventId: `e-${n}`, journeyId } })
    const head = { event_key: hash('sha256', `${n}`), processed_at: '2026-01-01', environment: 'live' }
    return `${JSON.stringify({ ...head, id: journeyId, raw: Buffer.from(raw).toString('base64') })}\n`
  })
  const file = gzipSync(lines.join(''))
  const manifest = {
    partition,
    events: lines.length,
    firstProcessedAt: '2026-01-01',
    lastProcessedAt: '2026-01-01',
    bytes: file.length,
    sha256: hash('sha256', file),
    release: '0.2.0',
  }
  writeFileSync(join(archives, `${partition}.jsonl.gz`), file)
  writeFileSync(join(archives, `${partition}.json`), JSON.stringify(manifest))
}
