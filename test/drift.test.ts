import { brotliCompressSync } from 'node:zlib'
import {
  acknowledgeDrifts,
  listActions,
  listDrifts,
  listIncidents,
  lookForDrift,
  startAlertWatch,
} from '@sluice/shared/operations'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { type OpenedConsole, openConsole, VIEWER } from '@sluice/testkit/console'
import { finishedJourney } from '@sluice/testkit/event'
import { PROGRAMS, run } from '@sluice/testkit/process'
import {
  createWorld,
  type Door,
  eventually,
  openDoor,
  openWorker,
  WAYS,
  type World,
} from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const stop = new AbortController().signal
const named = (event: string, fields: object = {}) =>
  Buffer.from(JSON.stringify({ event, body: { eventId: `${event} ${JSON.stringify(fields)}`, ...fields } }))

describe('drift of what IDWise sends', () => {
  let stack: AsyncDisposableStack
  let world: World
  let door: Door
  beforeEach(() => {
    stack = new AsyncDisposableStack()
  })
  afterEach(() => stack.disposeAsync())

  async function open(way: 'redis' | 'inbox'): Promise<void> {
    world = stack.use(await createWorld(way))
    door = stack.use(await openDoor(world))
    // The duties of a scheduler would look as well.
    stack.use(await openWorker(world, { scheduler: false }))
  }
  const landed = (count: number) =>
    eventually(async () => (await world.rows('select from events')).length === count)
  const look = () => lookForDrift(world.db, { stop, lagMs: 0 })
  const entries = async () =>
    (await listDrifts(world.db.pool, { all: true }))
      .toSorted((a, b) => a.id - b.id)
      .map(({ environment, kind, path, value, events, count }) =>
        [environment, kind, path, value, events.join('+'), count].join(' | '),
      )

  it.each(WAYS)('each difference is one entry with a sample, and all events land, by the %s', async (way) => {
    await open(way)
    await door.post(finishedJourney({ riskScore: 1 }).bytes)
    await door.post(named('Updated Journey', { riskScore: 2, action: 'Step Update' }))
    await door.post(named('Archived Journey'))
    await door.post(finishedJourney({ systemDecision: 'Escalated' }).bytes, { environment: 'sandbox' })
    await door.post(finishedJourney({ referenceNo: true }).bytes)
    await door.post(brotliCompressSync(finishedJourney().bytes), { headers: { 'content-encoding': 'br' } })
    await door.post(finishedJourney().bytes)
    await landed(7)

    expect(await look()).toBe(7)
    expect((await entries()).toSorted()).toEqual([
      'live | encoding | Content-Encoding | br | unrecognised | 1',
      'live | event | event | Archived Journey | unrecognised | 1',
      'live | field | body.riskScore |  | finished_journey+updated_journey | 2',
      'live | type | body.referenceNo | boolean instead of text or integer or null | finished_journey | 1',
      'sandbox | value | body.systemDecision | Escalated | finished_journey | 1',
    ])
    expect(await world.rows('select from dead_letters')).toEqual([])
    for (const { sample } of await listDrifts(world.db.pool)) {
      const key = Buffer.from(sample, 'hex')
      expect(await world.rows('select from events where event_key = $1', [key])).toHaveLength(1)
    }

    expect(await look()).toBe(0)
    await door.post(finishedJourney({ riskScore: 3 }).bytes)
    await landed(8)
    expect(await look()).toBe(1)
    expect(await entries()).toContain(
      'live | field | body.riskScore |  | finished_journey+updated_journey | 3',
    )
  })

  it('is told once for each entry, until a person knows it; the entry stays, with its audit', async () => {
    await open('inbox')
    await door.post(finishedJourney({ riskScore: 1, systemDecision: 'Escalated' }).bytes)
    await landed(1)
    await look()
    const [log, metrics] = [createLog('test', 'silent'), createMetrics()]
    const deps = { db: world.db, queue: undefined, metrics, log }
    const watch = stack.use(startAlertWatch(deps, { channels: [], heartbeat: undefined }, 'scheduler'))
    const told = async () => {
      await world.rows(`update incidents set last_seen_at = last_seen_at - interval '31 s'`)
      await watch.round()
      const open = await listIncidents(world.db.pool)
      return open.filter(({ name }) => name === 'drift').map(({ subject }) => subject)
    }
    expect((await told()).toSorted()).toEqual([
      'live field body.riskScore',
      'live value body.systemDecision Escalated',
    ])
    expect(await told()).toHaveLength(2)

    const [entry] = await listDrifts(world.db.pool)
    const id = entry?.id as number
    const act = { ids: [id, 999], actor: 'ada', reason: 'release notes' }
    expect(await acknowledgeDrifts(world.db, act)).toEqual([id])
    expect(await acknowledgeDrifts(world.db, act)).toEqual([])
    expect(await told()).toHaveLength(1)
    expect(await listActions(world.db, { target: `drift ${id}` }, { limit: 9 })).toMatchObject([
      { actor: 'ada', action: 'acknowledge', reason: 'release notes' },
    ])

    await door.post(finishedJourney({ riskScore: 1, systemDecision: 'Escalated' }).bytes)
    await landed(2)
    await look()
    expect([await told(), await entries()]).toEqual([
      [expect.any(String)],
      [expect.stringMatching(/ \| 2$/), expect.stringMatching(/ \| 2$/)],
    ])
  })

  it('of very many events a sample is looked at, and the next look begins after them', async () => {
    await open('inbox')
    await world.rows(`insert into drift_looks values (true, now() - interval '4 s', 0, now(), '{}', now())`)
    await makeEvents(3_000, `{"event":"Finished Journey","body":{"riskScore":1}}`)
    const looked = await look()
    expect(looked).toBeGreaterThan(100)
    expect(looked).toBeLessThanOrEqual(1_000)
    expect(await entries()).toEqual([`live | field | body.riskScore |  | finished_journey | ${looked}`])
    expect(await look()).toBe(0)
  })

  it('an event that landed long ago is not looked at, nor is a body that is too large', async () => {
    await open('inbox')
    await world.rows(
      `create table events_20200101 partition of events for values from ('2020-01-01') to ('2020-01-02')`,
    )
    await makeEvents(5, '{"event":"Old","body":{}}', '2020-01-01T12:00:00Z')
    await makeEvents(1, `{"event":"Large","body":{"x":"${'x'.repeat(70_000)}"}}`)
    expect(await look()).toBe(1)
    expect(await entries()).toEqual([])
  })

  it('a sender whose fields have other names in each event fills no table', async () => {
    await open('inbox')
    for (let batch = 0; batch < 4; batch++) {
      const names = Array.from({ length: 200 }, (_, n) => `"f${batch}x${n}":1`)
      for (let from = 0; from < 200; from += 20) {
        const fields = names.slice(from, from + 20).join(',')
        await makeEvents(1, `{"event":"Finished Journey","body":{${fields}}}`)
      }
      await look()
    }
    expect(await world.rows('select from drifts')).toHaveLength(500)
    await world.rows(`update drifts set last_seen_at = now() - interval '91 days'`)
    await look()
    expect(await world.rows('select from drifts')).toEqual([])
  })

  it('page, API and command line show it; an operator says that it is known', async () => {
    await open('inbox')
    const console: OpenedConsole = stack.use(await openConsole(world))
    const page = async (path: string) =>
      (await console.get(path, { headers: { accept: 'text/html' } })).text()
    const sluice = async (...args: string[]) => {
      const command = run(PROGRAMS.cli, ['drift', ...args], world.env)
      return { code: await command.exited, output: command.output() }
    }
    const post = (path: string, body: string, init: object = {}) =>
      console.get(path, {
        method: 'POST',
        body,
        headers: { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded' },
        ...init,
      })
    expect(await page('/drift')).toContain('IDWise sends what it documents')
    expect((await sluice()).output).toMatch(/^No event has been looked at yet/)
    await door.post(finishedJourney({ systemDecision: 'Escalated' }).bytes)
    await landed(1)
    await door.post(finishedJourney({ '<img>': 1, riskScore: 1 }).bytes)
    await landed(2)
    await look()

    expect(await page('/drift')).toContain('3 differences from what IDWise documents')
    expect(await page('/drift')).toContain('unknown value &quot;Escalated&quot; of body.systemDecision')
    expect(await page('/')).toContain('IDWise sends what is not documented')
    const { items } = await console.json('/api/v1/drift')
    expect(items).toMatchObject([
      { id: 3 },
      { id: 2 },
      { id: 1, value: 'Escalated', count: 1, acknowledgedBy: null },
    ])
    expect((await console.get(`/events/${items[0].sample}`)).status).toBe(200)
    expect((await sluice()).output).toMatch(
      /unknown value "Escalated" of body.systemDecision {2}1 {2,}finished journey/,
    )

    expect((await post('/drift/ack', 'ids=1', { as: VIEWER })).status).toBe(403)
    expect((await post('/drift/ack', 'ids=1')).status).toBe(303)
    expect((await post('/drift/ack', 'ids=1')).status).toBe(409)
    expect((await post('/drift/ack', 'ids=1;2')).status).toBe(400)
    expect(await page('/drift')).toContain('2 differences from what IDWise documents')
    expect(await page('/audit')).toContain('acknowledge <a href="/drift#drift-1">drift 1</a>')
    expect(await console.json('/api/v1/drift/2/ack', { method: 'POST' })).toEqual({ acknowledged: [2] })
    expect((await console.get('/api/v1/drift/2/ack', { method: 'POST' })).status).toBe(404)
    const ack = await sluice('ack', '2', '3', '--actor', 'ada', '--reason', 'known')
    expect([ack.code, ack.output]).toEqual([
      1,
      expect.stringMatching(/^ada knows of 3\.\n.*Nothing to acknowledge: 2\./),
    ])
    expect(await sluice()).toEqual({ code: 0, output: expect.stringMatching(/^Nothing new: 2 events/) })
    const { items: all } = await console.json('/api/v1/drift?all=true')
    expect(all.map(({ acknowledgedBy }: { acknowledgedBy: string }) => acknowledgedBy)).toEqual([
      'ada',
      'olivia',
      'olivia',
    ])
  })

  /** Rows that landed a millisecond after each other, the last one just now. */
  async function makeEvents(count: number, body: string, at?: string): Promise<void> {
    await world.rows(
      `insert into events (event_key, environment, kind, raw, body_sha256, delivery_id, received_at, processed_at, via)
        select sha256(($2::text || i)::bytea), 'live', 'finished_journey', convert_to($2::text, 'UTF8'), '', '', now(),
          coalesce($3::timestamptz, clock_timestamp()) - i * interval '1 ms', 'redis'
        from generate_series(1, $1::int) as i`,
      [count, body, at],
    )
  }
})
