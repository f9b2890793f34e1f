import { alertSettings, alertsOf } from '@sluice/shared/operations'
import { hearHttp, titlesOf } from '@sluice/testkit/alert-doubles'
import { finishedJourney } from '@sluice/testkit/event'
import { runScheduler } from '@sluice/testkit/process'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import * as z from 'zod'

describe('a scheduler', () => {
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
  const seen = () =>
    eventually(async () => (await world.rows('select from incidents where resolved_at is null')).length > 0)

  it('that is killed between claim and send leaves the message to another one, which sends it once', async () => {
    const env = { ...world.env, ALERTS: `slack:${receiver.url}`, SCHEDULER_PORT: '0' }
    const killed = stack.use(runScheduler({ ...env, SLUICE_FAILPOINT: 'alert-claimed' }))
    await seen()
    await pass(60)
    expect(await killed.exited).toBe('SIGKILL')
    expect(receiver.heard).toEqual([])
    const [claimed] = await world.rows<{ id: string; text: string }>(
      'select id, text from incidents where claims = 1',
    )
    const told = () =>
      world.rows('select from incidents where id = $1 and notified_at is not null', [claimed?.id])
    await world.rows('delete from leases')
    await pass(60)
    stack.use(runScheduler(env))
    await eventually(async () => (await told()).length === 1)
    const [title = ''] = claimed?.text.split('\n') ?? []
    expect(titlesOf(receiver.heard).filter((text) => text.endsWith(title))).toHaveLength(1)
  })

  it('lands events while a channel hangs', async () => {
    receiver.answer = null
    const alerts = alertsOf(
      z.object(alertSettings).parse({ ALERTS: `slack:${receiver.url}`, ALERTS_HEARTBEAT_URL: receiver.url }),
    )
    stack.use(await openWorker(world, { alerts, scheduler: true }))
    await seen()
    await pass(60)
    await eventually(() => receiver.heard.length > 0)
    const door = stack.use(await openDoor(world))
    await door.post(finishedJourney().bytes)
    await eventually(async () => (await world.rows('select from events')).length === 1)
  })
})
