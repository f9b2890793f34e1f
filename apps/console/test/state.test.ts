import { announceProcess, describeProcess } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { OPERATOR, type OpenedConsole, openConsole, VIEWER } from '@sluice/testkit/console'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createReadNow } from '../src/now.ts'
import { fillState } from './fill-state.ts'

const log = createLog('test', 'silent')
const BROWSER = { accept: 'text/html' }

describe('overview and /now', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let console: OpenedConsole
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    console = stack.use(await openConsole(world))
    for (const app of ['ingest', 'worker'] as const) {
      stack.use(announceProcess(world.db, describeProcess(app, undefined), log))
    }
    await fillState(world)
    await eventually(async () => (await console.json('/api/v1/state')).level === 'warn')
  })
  afterAll(() => stack.disposeAsync())

  const textOf = async (path: string, headers: Record<string, string> = {}) => {
    const response = await console.get(path, { headers, as: VIEWER })
    return { type: response.headers.get('content-type') ?? '', text: await response.text() }
  }

  it('say the same to a browser, to curl, and to a monitor', async () => {
    const { sentence, level, causes, figures, refusals } = await console.json('/api/v1/state')
    expect(level).toBe('warn')
    expect(causes.map(({ kind }: { kind: string }) => kind)).toEqual(['refused', 'lost', 'dead_letters'])
    expect(figures.recorded.flow.perMinute).toHaveLength(60)
    expect(refusals).toHaveLength(3)
    const part = /\d+ refused events? ha(?:s|ve) not come again/.exec(sentence)?.[0] as string
    for (const path of ['/', '/now']) {
      const page = await textOf(path, BROWSER)
      expect(page.type).toMatch(/^text\/html/)
      expect(page.text).toContain(part)
    }
    const plain = await textOf('/now')
    expect(plain.type).toMatch(/^text\/plain/)
    expect(plain.text).toMatch(/^WARN {2}Events flow\. /)
    expect(plain.text).toContain(part)
    expect(plain.text.trimEnd().split('\n').length).toBeLessThanOrEqual(25)
    const json = await textOf('/now?format=json', BROWSER)
    expect(JSON.parse(json.text)).toMatchObject({ level, refusals: [{}, {}, {}] })
    expect((await console.get('/now?format=xml')).status).toBe(400)
  })

  it('are in the details of the readiness, which does not wait for them', async () => {
    const health = await eventually(async () => {
      const { state, ...found } = console.health()
      return state ? { ...found, state } : undefined
    })
    const { level } = await console.json('/api/v1/state')
    expect(health).toMatchObject({ ready: true, postgres: 'up', redis: 'not_configured', state: { level } })
  })

  it('list open incidents, which an operator acknowledges and a viewer does not', async () => {
    const [row] = await world.rows<{ id: string }>(
      `insert into incidents (name, severity, text) values ('late', 'page', 'Workers lag <b>.') returning id::text`,
    )
    const path = `/incidents/${row?.id}/ack`
    const button = `<form method="post" action="${path}">`
    const overview = async (as: typeof OPERATOR) => (await console.get('/', { headers: BROWSER, as })).text()
    await eventually(async () => (await overview(OPERATOR)).includes(button))
    const seen = await overview(VIEWER)
    expect([seen.includes('Workers lag &lt;b&gt;.'), seen.includes(button)]).toEqual([true, false])
    const origin = { origin: console.url }
    const refused = await console.get(path, { method: 'POST', headers: origin, as: VIEWER })
    expect(refused.status).toBe(403)
    const done = await console.get(path, { method: 'POST', headers: origin, as: OPERATOR })
    expect(done.status).toBe(303)
    expect(await world.rows('select acknowledged_by as by from incidents')).toEqual([{ by: OPERATOR.user }])
    await world.rows('delete from incidents')
  })

  it('show pages above the figures and five notices below them, the newest of each name, and the others folded', async () => {
    await world.rows(`insert into incidents (name, subject, severity, text, opened_at)
      select name, n::text, case name when 'late' then 'page' else 'notice' end, name || ' number ' || n || '.',
        now() - n * interval '1 min'
      from generate_series(1, 7) as n, unnest('{drift,conflict,silence,late}'::text[]) as each(name)`)
    const text = await eventually(async () => {
      const page = await textOf('/', BROWSER)
      return page.text.includes('late number 7.') && page.text
    })
    const [above = '', below = ''] = text.split('<div class="tiles">')
    const inFull = (part: string) => (part.split('<details>')[0] ?? '').match(/\w+ number \d/g)
    expect(inFull(above)).toEqual([1, 2, 3, 4, 5].map((n) => `late number ${n}`))
    expect(above).toContain('<summary>2 more</summary>')
    const notices = below.split('<h2 id="notices">')[1] ?? ''
    expect(inFull(notices)?.toSorted()).toEqual([
      'conflict number 1',
      'conflict number 2',
      'silence number 1',
      'silence number 2',
    ])
    expect(notices).toContain('7 differences from what IDWise documents: see <a href="/drift">')
    expect(notices).toContain('<summary>10 more</summary>')
    await world.rows('delete from incidents')
  })

  it('show what strangers wrote as text', async () => {
    const { text } = await textOf('/', BROWSER)
    expect(text).not.toContain('<img')
    expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;')
  })

  it('draw a bar for each of the last 60 minutes and of the last hours, with its numbers in words', async () => {
    const { text } = await textOf('/', BROWSER)
    const [, minutes = '', hours = ''] = text.split(/<svg class="bars"[^>]* role="img" aria-label="/)
    expect([minutes.match(/<rect /g)?.length, hours.match(/<rect /g)?.length]).toEqual([60, 72])
    const { lastHour } = (await console.json('/api/v1/state')).figures.recorded.flow
    expect(minutes).toContain(`Events of each of the last 60 minutes: ${lastHour.accepted} in all`)
    expect(minutes).toMatch(/<title>\d\d:\d\d: \d+ accepted, \d+ landed, 4 refused<\/title>/)
    expect(hours).toContain(
      `Events of each ten minutes of the last twelve hours: ${lastHour.accepted} in all`,
    )
    expect(hours).toMatch(/<title>\d\d:\d\d: \d+ accepted, (?:4|8|12) refused<\/title>/)
  })

  it('list the processes, a silent one first', async () => {
    const [silent] = await world.rows<{
      id: string
    }>(`insert into processes (id, app, release, seen_at, queue_prefix,
        queue_shards, shards) values (gen_random_uuid(), 'worker', '0.1.0', now() - interval '40 s', 'p', 3, '{0,2}')
      returning id`)
    const id = silent?.id.slice(0, 8) as string
    const text = await eventually(async () => {
      const page = await textOf('/', BROWSER)
      return page.text.includes(id) && page.text
    })
    const [, ...rows] = (text.split('<h2>What runs</h2>')[1] as string).split('<tr>').slice(1)
    expect(rows.map((row) => /badge \w+">(\w+)</.exec(row)?.[1])).toEqual(['silent', 'alive', 'alive'])
    expect(rows[0]).toMatch(
      /worker <code title="[^"]*">[\s\S]*4\d s ago[\s\S]*0\.1\.0[\s\S]*the inbox and shards 0, 2</,
    )
    await world.rows('delete from processes where id = $1', [silent?.id])
  })

  it('compute the state once for all who ask at once', async () => {
    let queries = 0
    const pool = new Proxy(world.db.pool, {
      get(target, name) {
        if (name === 'query') queries++
        return Reflect.get(target, name)
      },
    })
    const readNow = createReadNow({ db: { ...world.db, pool }, queue: undefined })
    await readNow()
    const ofOne = queries
    const readAgain = createReadNow({ db: { ...world.db, pool }, queue: undefined })
    const all = await Promise.all(Array.from({ length: 50 }, readAgain))
    expect([new Set(all).size, queries]).toEqual([1, 2 * ofOne])
  })

  it('answer while the database is away, so that the console is ready', async () => {
    await using away = await openConsole(world, {
      databaseUrl: 'postgres://sluice:x@127.0.0.1:1/sluice',
      readUrl: 'postgres://sluice:x@127.0.0.1:1/sluice',
    })
    const ready = await away.get('/readyz')
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true }])
    const response = await away.get('/', { headers: BROWSER })
    expect(response.status).toBe(200)
    expect(await response.text()).toContain(
      'Postgres does not answer, and there is no Redis: events are refused.',
    )
    expect((await away.json('/api/v1/state')).figures).toMatchObject({
      recorded: null,
      stores: { postgres: 'down' },
    })
  })
})
