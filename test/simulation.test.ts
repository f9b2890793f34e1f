import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Report } from '@sluice/simulator'
import { addressOf, type Running, runIngest, runWorker } from '@sluice/testkit/process'
import { compareWithLedger, playIdwise } from '@sluice/testkit/simulation'
import { createWorld, eventually, WAYS, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

let world: World
let folder: string
let stack: AsyncDisposableStack

async function run(ingest: Running, journeys: number): Promise<string> {
  const ledgerPath = join(folder, 'run.ledger')
  await playIdwise({
    url: await addressOf(ingest),
    seed: folder,
    ratePerSecond: 300,
    journeys,
    timeoutMs: 10_000,
    timeScale: 600,
    ledgerPath,
  })
  return ledgerPath
}

const check = (ledgerPath: string): Promise<Report> => compareWithLedger(world.db, ledgerPath)

describe.each(WAYS)('IDWise, simulated with everything that happens to its webhooks, by the %s', (way) => {
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld(way))
    folder = await mkdtemp(join(tmpdir(), 'sluice-ledger-'))
    stack.defer(() => rm(folder, { recursive: true }))
  })
  afterEach(() => stack.disposeAsync())

  it('loses nothing and mistakes no journey while one of three workers is killed every second', async () => {
    const ingest = stack.use(runIngest(world.env))
    const workers = [runWorker(world.env), runWorker(world.env), runWorker(world.env)]
    stack.defer(async () => void (await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()))))
    let next = 0
    const killer = setInterval(() => {
      const index = next++ % workers.length
      workers[index]?.kill('SIGKILL')
      workers[index] = runWorker(world.env)
    }, 1_000)
    stack.defer(() => clearInterval(killer))
    const ledger = await run(ingest, 400)
    clearInterval(killer)

    const report = await eventually(async () => {
      const latest = await check(ledger)
      return latest.missing === 0 && latest
    }, 90_000)
    expect(next).toBeGreaterThan(3)
    // If a store was slow, a few deliveries may be counted twice: a finding, but no fault.
    expect(report.ok, report.findings.join('\n')).toBe(true)
    expect(report).toMatchObject({
      acknowledged: report.sent,
      landed: report.sent,
      mismatched: 0,
      landedTwice: 0,
      nobodySent: 0,
      journeysDiffering: 0,
      deadLetters: 0,
    })
    expect(report.journeys).toBeGreaterThan(300)
  }, 180_000)

  it('is compared by verify, which finds what was altered afterwards', async () => {
    const ingest = stack.use(runIngest(world.env))
    const worker = runWorker(world.env)
    const ledger = await run(ingest, 60)
    await eventually(async () => (await check(ledger)).ok)
    // Otherwise a second delivery that is under way could bring a deleted event back.
    await worker[Symbol.asyncDispose]()

    await world.rows(`update journeys set final_decision = 'Approved!' where journey_id = (select journey_id
      from journeys where needs_attention is null limit 1)`)
    expect(await check(ledger)).toMatchObject({ ok: false, missing: 0, mismatched: 0, journeysDiffering: 1 })
    await world.rows(`update events set raw = 'other' where event_key = (select event_key from events
      where kind = 'finished_step' and event_id is not null limit 1)`)
    expect(await check(ledger)).toMatchObject({ ok: false, missing: 0, mismatched: 1 })
    await world.rows(`delete from events where event_key = (select event_key from events
      where kind = 'finished_user_steps' and event_id is not null limit 1)`)
    expect(await check(ledger)).toMatchObject({ ok: false, missing: 1, mismatched: 1 })
  }, 60_000)
})
