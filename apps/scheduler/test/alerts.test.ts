import { alertsOf, alertSettings } from '@sluice/shared/operations'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { hearHttp, titlesOf } from '@sluice/testkit/alert-doubles'
import { finishedJourney } from '@sluice/testkit/event'
import { runScheduler } from '@sluice/testkit/process'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as z from 'zod'
import { startScheduler } from '../src/index.ts'

const log = createLog('test', 'silent')

describe('a scheduler with alerts', () => {
  let stack: AsyncDisposableStack
  let world: World
  let receiver: Awaited<ReturnType<typeof hearHttp>>
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('inbox'))
    receiver = stack.use(await hearHttp())
  })
  afterEach(() => stack.disposeAsync())

  const pass = (seconds: number) =>
    world.rows(
      `update incidents set opened_at = opened_at - $1 * interval '1 second',
        notifying_at = notifying_at - $1 * interval '1 second'`,
      [seconds],
    )
  const seen = () => eventually(async () => (await world.rows('select from incidents')).length > 0)

  it('that is killed between claim and send leaves the message to another one, which sends it once', async () => {
    const env = { ...world.env, ALERTS: `slack:${receiver.url}`, SCHEDULER_PORT: '0' }
    const killed = stack.use(runScheduler({ ...env, SLUICE_FAILPOINT: 'alert-claimed' }))
    await seen()
    await pass(60)
    expect(await killed.exited).toBe('SIGKILL')
    expect(receiver.heard).toEqual([])
    await world.rows('delete from leases')
    await pass(60)
    for (let n = 0; n < 2; n++) stack.use(runScheduler(env))
    await eventually(() => receiver.heard.length > 0)
    await eventually(async () => (await world.rows('select from incidents where notified_at is null')).length === 0)
    expect(new Set(titlesOf(receiver.heard)).size).toBe(receiver.heard.length)
  })

  it('lands events and does its duties while a channel hangs', async () => {
    receiver.answer = null
    const alerts = alertsOf(
      z.object(alertSettings).parse({ ALERTS: `slack:${receiver.url}`, ALERTS_HEARTBEAT_URL: receiver.url }),
    )
    stack.use(startScheduler({ ...world.workerConfig, alerts, db: world.db, metrics: createMetrics(), log }))
    await seen()
    await pass(60)
    await eventually(() => receiver.heard.length > 0)
    const door = stack.use(await openDoor(world))
    stack.use(await openWorker(world, { scheduler: false }))
    await door.post(finishedJourney().bytes)
    await eventually(async () => (await world.rows('select from events')).length === 1)
    const [before] = await world.rows('select max(last_seen_at) as at from incidents')
    await eventually(async () => {
      const [now] = await world.rows<{ at: Date }>('select max(last_seen_at) as at from incidents')
      return now && now.at > (before as { at: Date }).at
    }, 20_000)
  })
})
