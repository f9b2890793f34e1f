import { createHmac } from 'node:crypto'
import { type Heard, hearHttp, hearMail, titlesOf } from '@sluice/testkit/alert-doubles'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  acknowledgeIncident,
  type Condition,
  claimMessage,
  expectReplicas,
  listActions,
  listIncidents,
  muteIncidents,
  nameInstallation,
} from '../src/db/index.ts'
import { parseChannels } from '../src/operations/alerts/channels.ts'
import { knowInstallation } from '../src/operations/alerts/installation.ts'
import { noteConditions, sendDue } from '../src/operations/alerts/notify.ts'
import { createLog, createMetrics } from '../src/runtime/index.ts'

const log = createLog('test', 'silent')
/** A minute of the real times is too long for a test. */
const TIMES = { graceMs: 0, claimMs: 60_000 }
const nobody = () => Promise.resolve(undefined)
const NEVER = new AbortController().signal
const CONDITION: Condition = { name: 'late', subject: '', severity: 'page', text: 'Workers lag.', peak: null }
const KEY = Buffer.alloc(24, 7)

describe('alerts', () => {
  let stack: AsyncDisposableStack
  let world: World
  let receiver: Awaited<ReturnType<typeof hearHttp>>
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('inbox'))
    receiver = stack.use(await hearHttp())
  })
  afterEach(() => stack.disposeAsync())

  const channels = () => parseChannels(`slack:${receiver.url}/slack`).channels
  const metrics = createMetrics()
  const send = (times = TIMES, stop = NEVER) =>
    sendDue(world.db, { channels: channels(), installation: nobody, metrics, log }, { stop, times })
  const see = (...found: Condition[]) => noteConditions(world.db, { found, held: [] })
  const heard = () => titlesOf(receiver.heard)
  /** The time passes for all incidents. */
  const pass = (interval: string) =>
    world.rows(
      `update incidents set opened_at = opened_at - $1::interval, last_seen_at = last_seen_at - $1::interval,
        notified_at = notified_at - $1::interval, notifying_at = notifying_at - $1::interval,
        recovery_notified_at = recovery_notified_at - $1::interval, resolved_at = resolved_at - $1::interval`,
      [interval],
    )

  it('tells an incident once, over three processes, and once that it is over', async () => {
    for (let n = 0; n < 3; n++) await see(CONDITION)
    await Promise.all([send(), send(), send()])
    expect(heard()).toEqual(['Sluice ALERT: Workers lag.'])
    await pass('31 seconds')
    await see()
    await Promise.all([send(), send(), send()])
    expect(heard()).toEqual([
      'Sluice ALERT: Workers lag.',
      expect.stringMatching(/^Sluice OK: It is over after \d+ s. It was: Workers lag.$/),
    ])
  })

  it('says nothing of what was not seen for 30 s, nor that it is over', async () => {
    const times = { ...TIMES, graceMs: 30_000 }
    await see(CONDITION)
    await pass('20 seconds')
    await see(CONDITION)
    await send(times)
    await pass('31 seconds')
    await see()
    await send(times)
    expect(heard()).toEqual([])
    expect(await listIncidents(world.db.pool)).toEqual([])
    await see(CONDITION)
    await pass('30 seconds')
    await see(CONDITION)
    await send(times)
    expect(heard()).toHaveLength(1)
  })

  it.each([
    ['page', 20],
    ['notice', 300],
  ] as const)(
    'is silent while a %s comes and goes ten times, and tells it once it is back for good',
    async (severity, minutes) => {
      const condition: Condition = { ...CONDITION, severity }
      for (let n = 0; n < 10; n++) {
        await see(condition)
        await send()
        await pass('1 minute')
        await see()
        await send()
      }
      expect(heard()).toHaveLength(2)
      await pass(`${minutes} minutes`)
      await see(condition)
      await send()
      expect(heard()).toHaveLength(3)
    },
  )

  it('tells a page again that came back and lasts', async () => {
    await see(CONDITION)
    await send()
    await pass('1 minute')
    await see()
    await send()
    await see(CONDITION)
    await pass('5 minutes')
    await see(CONDITION)
    await send()
    expect(heard().at(-1)).toBe('Sluice ALERT again: Workers lag.')
  })

  it('tells a page again after four hours, unless somebody has acknowledged it', async () => {
    for (const actor of [undefined, 'ada']) {
      const name = actor ?? 'nobody'
      await see({ ...CONDITION, name })
      await send()
      const [incident] = await listIncidents(world.db.pool)
      if (actor) await acknowledgeIncident(world.db, { id: incident?.id ?? 0, actor })
      await pass('4 hours 1 second')
      await see({ ...CONDITION, name })
      await send()
      await world.rows('delete from incidents')
    }
    const [first = '', again = ''] = ['Sluice ALERT: Workers lag.', 'Sluice ALERT again: Workers lag.']
    expect(heard()).toEqual([first, again, first])
  })

  it('leaves a message of a process that died to one other, and tells the recovery', async () => {
    await see(CONDITION)
    await claimMessage(world.db.pool, TIMES)
    await send()
    expect(heard()).toEqual([])
    await pass('61 seconds')
    await see(CONDITION)
    await claimMessage(world.db.pool, TIMES)
    await pass('61 seconds')
    await see(CONDITION)
    // Two have claimed it: a third message would be one too many.
    await send()
    expect(heard()).toEqual([])
    await pass('31 seconds')
    await see()
    await send()
    expect(heard()).toEqual([expect.stringContaining('Sluice OK')])
  })

  it('sends a message that no channel took again after a minute', async () => {
    receiver.answer = 500
    await see(CONDITION)
    const stop = new AbortController()
    const sending = send(TIMES, stop.signal)
    await eventually(() => receiver.heard.length === 1)
    stop.abort()
    await sending
    receiver.answer = 200
    await send()
    expect(receiver.heard).toHaveLength(1)
    await pass('61 seconds')
    await see(CONDITION)
    await send()
    expect(receiver.heard).toHaveLength(2)
  })

  it('holds back a name that is muted, and notes who looks after an incident', async () => {
    await muteIncidents(world.db, { name: 'late', ms: 7_200_000, actor: 'ada', reason: 'known' })
    await see(CONDITION)
    await send()
    expect(heard()).toEqual([])
    const [incident] = await listIncidents(world.db.pool)
    expect(await acknowledgeIncident(world.db, { id: incident?.id ?? 0, actor: 'ada' })).toBe(true)
    expect(await listIncidents(world.db.pool)).toMatchObject([{ name: 'late', acknowledgedBy: 'ada' }])
    await muteIncidents(world.db, { name: 'late', ms: 0, actor: 'ada' })
    await send()
    expect(heard()).toEqual(['Sluice ALERT: Workers lag.'])
    expect(await listActions(world.db, { actor: 'ada' }, { limit: 10 })).toMatchObject([
      { action: 'unmute', target: 'alert late' },
      { action: 'acknowledge', target: `incident ${incident?.id}` },
      { action: 'mute', target: 'alert late', reason: 'known' },
    ])
  })

  it.each(['acknowledged', 'old'] as const)(
    'expects fewer replicas once an incident about them is %s, and says nothing of its end',
    async (how) => {
      const found = (found: number, isTold = false) =>
        expectReplicas(world.db.pool, { store: 'Redis', found, isTold })
      const gone: Condition = { ...CONDITION, name: 'replica-gone', subject: 'Redis', severity: 'notice' }
      expect([await found(2), await found(0)]).toEqual([2, 2])
      await see(gone)
      await send()
      const [{ id } = { id: 0 }] = await listIncidents(world.db.pool)
      if (how === 'acknowledged') await acknowledgeIncident(world.db, { id, actor: 'ada' })
      else await pass('25 hours')
      expect([await found(0, true), await found(0)]).toEqual([2, 0])
      await send()
      expect(await listIncidents(world.db.pool)).toEqual([])
      expect(heard()).toHaveLength(1)
      // One that is lost afterwards is another incident.
      expect([await found(1), await found(0)]).toEqual([1, 1])
      await see(gone)
      await send()
      expect(heard()).toHaveLength(2)
      expect(await listIncidents(world.db.pool, { all: true })).toHaveLength(2)
    },
  )

  it('says of refused events how many came again, once all have or are lost', async () => {
    await see({ ...CONDITION, name: 'refusing', text: 'Ingests refuse events.' })
    await send()
    await world.rows(`insert into refusals (event_key, environment, first_refused_at, last_refused_at, deliveries, made_up_at)
      values ('\\x01', 'live', now(), now(), 1, now()), ('\\x02', 'live', now(), now(), 1, null)`)
    await pass('31 seconds')
    await noteConditions(world.db, { found: [], held: ['refusing'] })
    await send()
    expect(heard()).toHaveLength(1)
    await pass('31 seconds')
    await see()
    await send()
    expect(heard().at(-1)).toMatch(
      /^Sluice OK: It is over after \d+ s. 2 events were refused: 1 came again, 1 is lost.$/,
    )
  })

  it('holds groups and differences that are not looked at only while there is an open one', async () => {
    await bury(world, [finishedJourney().bytes])
    const [letter] = await world.rows<{ fingerprint: string }>('select fingerprint from dead_letters')
    const group = letter?.fingerprint ?? ''
    await world.rows(`insert into drifts (environment, kind, path, value, events, first_seen_at, last_seen_at, count, sample)
      values ('live', 'field', 'body.a', '', '{}', now(), now(), 1, '')`)
    const notice = (name: string, subject: string): Condition => ({
      ...CONDITION,
      ...{ name, subject, severity: 'notice' },
    })
    await see(
      ...[notice('dead-letters', group), notice('dead-letters', `${group} 10`)],
      ...[
        notice('conflict', 'gone'),
        notice('drift', 'live field body.a'),
        notice('drift', 'live field gone'),
      ],
    )
    await send()
    const open = async () => {
      await pass('31 seconds')
      await noteConditions(world.db, { found: [], held: ['dead-letters', 'conflict', 'drift'] })
      return (await listIncidents(world.db.pool)).map(({ subject }) => subject)
    }
    expect(await open()).toEqual([group, `${group} 10`, 'live field body.a'])
    await world.rows(`update dead_letters set state = 'resolved'`)
    await world.rows(`update drifts set acknowledged_at = now(), acknowledged_by = 'ada'`)
    expect(await open()).toEqual([])
  })

  it('sends by mail, PagerDuty and as a signed webhook', async () => {
    const post = stack.use(await hearMail())
    const all = parseChannels(
      `mailto:ops@example.com?via=${post.url} pagerduty:0123456789abcdef0123?via=${receiver.url} webhook:${receiver.url}/hook?a=1&secret=whsec_${KEY.toString('base64')}`,
    )
    expect(all.problems).toEqual([])
    await see(CONDITION)
    await sendDue(
      world.db,
      { channels: all.channels, installation: knowInstallation(world.db), metrics, log },
      { stop: NEVER, times: TIMES },
    )
    expect(post.mails).toEqual([
      expect.stringMatching(/Subject: Sluice ALERT \(t_\w+ [0-9a-f]{8}\):\s+Workers lag\./),
    ])
    const { name, id } = await nameInstallation(world.db.pool)
    const of = (path: string) => receiver.heard.find((each) => each.path === path)
    expect(JSON.parse(of('/v2/enqueue')?.body ?? '')).toMatchObject({
      event_action: 'trigger',
      dedup_key: `sluice ${id} late`,
      payload: { severity: 'critical', source: `${name} ${id}` },
    })
    const { headers, body } = of('/hook?a=1') as Heard
    const content = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
    expect(headers['webhook-signature']).toBe(
      `v1,${createHmac('sha256', KEY).update(content).digest('base64')}`,
    )
  })
})

describe('the setting ALERTS', () => {
  it.each([
    'slack:http://hooks.example.com/hush77',
    'slack:hush77',
    'mailto:ops@example.com',
    'mailto:hush77?via=smtps://mail.example.com',
    'webhook:https://example.com/hook?secret=hush77',
    'pagerduty:hush77!',
    'hush77',
  ])('refuses %s without showing it', (entry) => {
    const { channels, problems } = parseChannels(`slack:https://hooks.example.com/a ${entry}`)
    expect(channels).toHaveLength(1)
    expect(problems).toEqual([expect.stringContaining('number 2')])
    expect(problems.join()).not.toMatch(/hooks\.example|hush77/)
  })
})
