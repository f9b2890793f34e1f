import { alertSettings, listIncidents } from '@sluice/shared/operations'
import { createLog, createMetrics, DEFAULT_SOURCES } from '@sluice/shared/runtime'
import { hearHttp } from '@sluice/testkit/alert-doubles'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRefusalVoice } from '../src/refusal-voice.ts'
import { rememberRefused } from '../src/refused-events.ts'

const log = createLog('test', 'silent')
const GRACE_MS = 300

describe('an ingest that refuses events', () => {
  let stack: AsyncDisposableStack
  let world: World
  let receiver: Awaited<ReturnType<typeof hearHttp>>
  let canAccept: () => boolean
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('inbox'))
    receiver = stack.use(await hearHttp())
    canAccept = () => false
  })
  afterEach(() => stack.disposeAsync())

  const texts = () => receiver.heard.map(({ body }) => (JSON.parse(body) as { text: string }).text)
  function voice(now = Date.now, db = world.db) {
    const channels = alertSettings.ALERTS.parse(`slack:${receiver.url}`) ?? []
    const metrics = createMetrics()
    const deps = { db, sources: DEFAULT_SOURCES, canAccept: () => canAccept(), now, metrics, log }
    return stack.use(createRefusalVoice(channels, { ...deps, graceMs: GRACE_MS, everyMs: 20 }))
  }

  it('tells from memory when IDWise gives up, and leaves the end to the table once that is back', async () => {
    await world.rows('alter table incidents rename to away')
    const ingest = voice()
    const at = Date.now()
    for (const id of ['a', 'b', 'b', 'c']) ingest.refused({ id, at })
    await eventually(() => texts().length === 1)
    const time = new Date(at + 1_800_000).toISOString().slice(11, 19)
    expect(texts()[0]).toContain('IDWise gives up on the first of 3 refused events in')
    // After half past eleven it is that of the next day, and its date is said.
    expect(texts()[0]).toContain(`${time} UTC)`)
    const sure = new Date(at + 900_000).toISOString().slice(11, 19)
    expect(texts()[0]).toContain(`${sure} UTC.`)
    expect(texts()[0]).toContain('First command: npx sluice doctor')
    ingest.accepted('a')
    await world.rows('alter table away rename to incidents')
    await eventually(async () => (await listIncidents(world.db.pool)).length === 1)
    const [incident] = await listIncidents(world.db.pool)
    expect(incident).toMatchObject({ name: 'refusing', openedAt: new Date(at), notifiedAt: new Date(at) })
    expect(texts()).toHaveLength(1)
  })

  it('asks which installation it is until that is known, before it has anything to tell', async () => {
    let asked = 0
    async function query() {
      if (++asked !== 2) throw new Error('away')
      return { rows: [{ name: 'sluice', id: '1c20cd9e' }] }
    }
    const ingest = voice(Date.now, { pool: { query } } as unknown as World['db'])
    await eventually(() => asked === 2)
    ingest.refused({ id: 'a', at: Date.now() })
    await eventually(() => texts().length === 1)
    expect(texts()[0]).toMatch(/^Sluice ALERT \(sluice 1c20cd9e\): /)
  })

  it('leaves it to the table while that is there', async () => {
    voice().refused({ id: 'a', at: Date.now() })
    await eventually(async () => (await listIncidents(world.db.pool)).length === 1)
    expect(await listIncidents(world.db.pool)).toMatchObject([{ name: 'refusing', notifiedAt: null }])
    expect(texts()).toEqual([])
  })

  it('tells once more five minutes before IDWise may give up', async () => {
    await world.rows('alter table incidents rename to away')
    const began = Date.now()
    let passed = 0
    const ingest = voice(() => Date.now() + passed)
    ingest.refused({ id: 'a', at: began })
    await eventually(() => texts().length === 1)
    passed = 660_000
    ingest.refused({ id: 'b', at: began + passed })
    await eventually(() => texts().length === 2)
    expect(texts()[1]).toMatch(
      /^Sluice ALERT \(t_\w+ \w+\): IDWise gives up on the first of 2 refused events in 1[89] min/,
    )
  })

  it('says nothing of a short trouble after which a store takes events', async () => {
    await world.rows('alter table incidents rename to away')
    let asked = 0
    canAccept = () => ++asked > 0
    voice().refused({ id: 'a', at: Date.now() })
    await eventually(() => asked > 0)
    expect(texts()).toEqual([])
  })

  it('shows how much patience IDWise has with what it has refused, until Postgres knows of it', async () => {
    const metrics = createMetrics()
    await world.rows('alter table refusals rename to away')
    const refused = stack.use(rememberRefused(world.db, metrics, log, 20))
    const shown = async () =>
      /sluice_sender_patience_seconds\{environment="live"\} (\S+)/.exec(await metrics.text())?.[1]
    refused.add({ environment: 'live', raw: '{}', id: 'aa', at: Date.now() - 600_000 })
    await eventually(async () => (await shown()) !== undefined)
    expect(Math.round(Number(await shown()) / 10)).toBe(30)
    await world.rows('alter table away rename to refusals')
    await eventually(async () => (await shown()) === undefined)
  })
})
