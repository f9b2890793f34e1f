import { OPERATOR, type OpenedConsole, openConsole, VIEWER } from '@sluice/testkit/console'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const HOUR_MS = 3_600_000
const body = () => finishedJourney().bytes

describe('what happened since a person was away', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let console: OpenedConsole
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    console = stack.use(await openConsole(world))
    await bury(world, [body()], { message: 'known before' })
    await world.rows(`update dead_letters set first_failed_at = now() - interval '1 day',
      last_failed_at = now() - interval '1 day'`)
    await bury(world, [body()], { message: 'known before' })
    await bury(world, [body(), body()], { message: 'broken lately' })
    await world.rows(`insert into operator_actions (at, actor, action, target, reason) values
      (now() - interval '1 day', 'ada', 'discard', 'dead_letter 1', 'of yesterday'),
      (now(), 'ada', 'discard', 'dead_letter 1', 'raised the limit'),
      (now(), 'olivia', 'undo', 'dead_letter 1', 'my own act')`)
    await world.rows(`insert into incidents (name, severity, text, opened_at, notified_at, resolved_at) values
      ('late', 'page', 'Workers lag.', now() - interval '20 min', now(), now()),
      ('silence', 'notice', 'No event.', now() - interval '3 days', now(), now() - interval '2 days')`)
    await world.rows(`insert into refusals (event_key, environment, first_refused_at, last_refused_at, deliveries, made_up_at)
      values ('\\x01', 'live', now(), now(), 1, now()), ('\\x02', 'live', now(), now(), 1, null)`)
  })
  afterAll(() => stack.disposeAsync())

  const visit = (since: number, last: number, { user }: { user: string }) =>
    `__Host-sluice-visit=${since}.${last}.${Buffer.from(user).toString('base64url')}`
  async function overview(cookie?: string, as = OPERATOR): Promise<string> {
    const headers = { accept: 'text/html', ...(cookie && { cookie }) }
    return (await console.get('/', { headers, as })).text()
  }
  const ago = (hours: number) => Date.now() - hours * HOUR_MS

  it('names new groups, the acts of others with their reasons, and what healed by itself', async () => {
    const text = await overview(visit(ago(9), ago(2), OPERATOR))
    expect(text).toContain(
      '1 new group of dead letters, 1 act of others, 1 incident that is over, 1 refused event came again',
    )
    const [, news = ''] = text.split('<h2 id="since">')
    expect(news).toContain('broken lately')
    expect(news).toContain('raised the limit')
    expect(news).toContain('Workers lag.')
    for (const old of ['known before', 'of yesterday', 'my own act', 'No event.'])
      expect(news).not.toContain(old)
  })

  it('the API says the same, since the time that is asked for', async () => {
    const news = await console.json(`/api/v1/news?since=${new Date(ago(2)).toISOString()}`)
    expect(news).toMatchObject({
      groups: [{ errorMessage: expect.stringContaining('broken lately'), letters: { count: 2 } }],
      acts: [{ actor: 'ada', reason: 'raised the limit' }],
      healed: [{ name: 'late' }],
      cameAgain: { count: 1, isMore: false },
    })
    const refused = await console.get('/api/v1/news?since=yesterday')
    expect([refused.status, await refused.json()]).toEqual([
      400,
      { error: expect.stringContaining('is no time') },
    ])
  })

  it('counts all new groups, and lists the largest first', async () => {
    await world.rows(`insert into dead_letters (job_id, reason, error_class, error_message, fingerprint, attempts, raw,
        envelope, environment, event)
      select 'job-' || g || '-' || n, 'rejected_by_database', '22003', 'kind ' || g, 'new-' || g, 1, '', '', 'live', 'X'
      from generate_series(1, 9) as g, generate_series(1, g + 2) as n`)
    const { groups, moreGroups } = await console.json(`/api/v1/news?since=${new Date(ago(2)).toISOString()}`)
    expect(groups.map(({ letters }: { letters: { count: number } }) => letters.count)).toEqual([
      11, 10, 9, 8, 7, 6,
    ])
    expect(moreGroups).toBe(4)
    const text = await overview(visit(ago(9), ago(2), OPERATOR))
    expect(text).toContain('10 new groups of dead letters')
    expect(text).toContain('5 more groups</a>')
    const state = await eventually(async () => {
      const page = await overview()
      return page.includes('more groups of dead letters') && page
    })
    expect(state).toContain('6 more groups of dead letters')
    await world.rows(`delete from dead_letters where fingerprint like 'new-%'`)
  })

  it.each([
    ['on a first visit', undefined],
    ['in a visit that goes on', visit(Date.now() + HOUR_MS, Date.now(), OPERATOR)],
    ['of another person in the same browser', visit(ago(9), ago(2), VIEWER)],
    ['if the cookie is broken', '__Host-sluice-visit=x.y.z'],
  ])('says nothing %s', async (_when, cookie) => {
    expect(await overview(cookie)).not.toContain('Since you were away')
  })

  it('keeps the news through a visit until it is marked as read, also by a viewer', async () => {
    const cookie = visit(ago(1), Date.now(), VIEWER)
    expect(await overview(cookie, VIEWER)).toContain('Since you were away')
    const headers = { cookie, 'sec-fetch-site': 'same-origin' }
    const marked = await console.get('/seen', { method: 'POST', as: VIEWER, headers })
    expect([marked.status, marked.headers.get('location')]).toEqual([303, '/'])
    const [read = ''] = marked.headers.get('set-cookie')?.split(';') ?? []
    expect(await overview(read, VIEWER)).not.toContain('Since you were away')
  })
})
