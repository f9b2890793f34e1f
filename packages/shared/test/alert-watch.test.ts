import { hearHttp, titlesOf } from '@sluice/testkit/alert-doubles'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { announceProcess, createDb, describeProcess, listIncidents } from '../src/db/index.ts'
import { parseChannels } from '../src/operations/alerts/channels.ts'
import { startHeartbeat } from '../src/operations/alerts/heartbeat.ts'
import { createVoice } from '../src/operations/alerts/voice.ts'
import { startAlertWatch } from '../src/operations/index.ts'
import { createQueueAdmin } from '../src/queue/index.ts'
import { createLog, createMetrics } from '../src/runtime/index.ts'

const log = createLog('test', 'silent')

describe('several processes that watch', () => {
  let stack: AsyncDisposableStack
  let world: World
  let receiver: Awaited<ReturnType<typeof hearHttp>>
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('redis'))
    receiver = stack.use(await hearHttp())
  })
  afterEach(() => stack.disposeAsync())

  function watch(role: 'scheduler' | 'ingest', databaseUrl = world.databaseUrl, heartbeat?: string) {
    const db = stack.use(createDb(databaseUrl, { max: 2, statementMs: 5_000, log, name: role }))
    const { queue: location } = world.workerConfig
    const queue = location && stack.use(createQueueAdmin(location, log))
    const { channels } = parseChannels(`slack:${receiver.url}`)
    const settings = { channels, heartbeat }
    const times = { graceMs: 100, claimMs: 60_000, sendEveryMs: 50, beatEveryMs: 20 }
    return stack.use(startAlertWatch({ db, queue, metrics: createMetrics(), log }, settings, role, times))
  }
  const heard = () => titlesOf(receiver.heard.filter(({ body }) => body !== ''))
  const about = (what: string) => heard().filter((text) => text.includes(what))

  it('look one at a time, and an ingest only if no scheduler has for a while', async () => {
    const [ingest, scheduler] = [watch('ingest'), watch('scheduler')]
    const looked = async () => (await world.rows('select from incidents')).length > 0
    const holder = async () =>
      (await world.rows<{ holder: string }>(`select holder from leases where name = 'sluice alerts'`))[0]
        ?.holder
    await ingest.round()
    expect(await looked()).toBe(true)
    await scheduler.round()
    expect(await holder()).toMatch(/^scheduler/)
    await world.rows('delete from incidents')
    await ingest.round()
    expect(await looked()).toBe(false)
  })

  it('wait for signs of life after their start, and after each time without Postgres', async () => {
    stack.defer(() => void vi.useRealTimers())
    vi.useFakeTimers({ toFake: ['Date'] })
    const scheduler = watch('scheduler')
    const told = async () => {
      await scheduler.round()
      return (await listIncidents(world.db.pool)).map(({ name }) => name)
    }
    expect(await told()).toEqual([])
    vi.setSystemTime(Date.now() + 20_000)
    expect(await told()).toEqual(['no-ingest', 'nobody-consumes'])
    await world.rows('alter table leases rename to away')
    await scheduler.round()
    await world.rows('alter table away rename to leases')
    await world.rows('delete from incidents')
    expect(await told()).toEqual([])
  })

  it('tell once that Postgres is away, agreed on in Redis, and once that it is back', async () => {
    const away = new URL(world.databaseUrl)
    away.port = '1'
    const lost = [watch('scheduler', away.href), watch('scheduler', away.href), watch('ingest', away.href)]
    await Promise.all(lost.map((each) => each.round()))
    await eventually(() => heard().length > 0)
    await Promise.all(lost.map((each) => each.round()))
    expect(heard()).toEqual([expect.stringContaining('Sluice ALERT: Postgres does not answer')])
    for (const each of lost) await each[Symbol.asyncDispose]()
    const back = watch('scheduler')
    await back.round()
    expect(await listIncidents(world.db.pool)).toContainEqual(
      expect.objectContaining({ name: 'store-down', subject: 'postgres', notifiedAt: expect.any(Date) }),
    )
    await world.rows(
      `update incidents set last_seen_at = now() - interval '1 minute' where subject = 'postgres'`,
    )
    await back.round()
    await eventually(() => about('Postgres').length === 2)
    expect(about('Postgres')[1]).toMatch(
      /^Sluice OK \(t_\w+ \w+\): It is over after .* It was: Postgres does not answer/,
    )
  })

  it('send no heartbeat once a look has found that Postgres is away', async () => {
    stack.use(announceProcess(world.db, describeProcess('ingest', undefined), log))
    await eventually(async () => (await world.rows('select from processes')).length === 1)
    const beats = () => receiver.heard.filter(({ path }) => path === '/beat').length
    const scheduler = watch('scheduler', world.databaseUrl, `${receiver.url}/beat`)
    await scheduler.round()
    await eventually(() => beats() > 0)
    await world.rows('alter table leases rename to away')
    await scheduler.round()
    const before = beats()
    await eventually(() => about('is not migrated').length > 0)
    // One may have been on its way.
    expect(beats()).toBeLessThanOrEqual(before + 1)
  })
})

it('what is over when it could be told is not told', async () => {
  await using receiver = await hearHttp()
  let isAway = true
  const spoken = {
    name: 'store-down',
    subject: 'postgres',
    severity: 'page',
    text: 'Away.',
    peak: null,
  } as const
  let claims = 0
  await using _ = createVoice(
    {
      channels: parseChannels(`slack:${receiver.url}`).channels,
      installation: async () => undefined,
      metrics: createMetrics(),
      log,
    },
    {
      look: () => (isAway ? [{ ...spoken, since: new Date(0) }] : []),
      write: () => (isAway ? Promise.reject(new Error('no table')) : Promise.resolve()),
      async claim() {
        claims++
        isAway = false
        return true
      },
      record: () => Promise.resolve(),
      graceMs: 0,
      everyMs: 20,
    },
  )
  await eventually(() => claims === 1)
  isAway = true
  await eventually(() => claims === 2)
  expect(receiver.heard).toEqual([])
})

it('the heartbeat calls its address while all is well, and counts those that were not taken', async () => {
  await using receiver = await hearHttp()
  const metrics = createMetrics()
  const counted = async () =>
    (await metrics.text()).split('\n').filter((line) => line.startsWith('sluice_alerts_sent_total{'))
  let isWell = false
  let asked = 0
  const look = () => {
    asked++
    return isWell
  }
  await using _ = startHeartbeat(`${receiver.url}/beat`, { isWell: look, metrics, log }, 20)
  await eventually(() => asked > 2)
  expect(receiver.heard).toEqual([])
  isWell = true
  await eventually(async () => (await counted()).some((line) => line.includes('outcome="sent"')))
  expect(receiver.heard[0]?.path).toBe('/beat')
  receiver.answer = 500
  await eventually(async () => (await counted()).some((line) => line.includes('outcome="failed"')))
})
