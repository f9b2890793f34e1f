import { createHash, randomUUID } from 'node:crypto'
import { type OpenedConsole, openConsole, VIEWER } from '@sluice/testkit/console'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const HOSTILE = `</pre></textarea><script>alert(1)</script>"'><img src=x onerror=alert(1)>\u202e`

describe('finding anything', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let console: OpenedConsole
  const keys: Record<string, string> = {}
  const bodies: Record<string, string> = {}
  let post: (name: string, event: string, body: Record<string, unknown>) => Promise<void>
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    console = stack.use(await openConsole(world))
    const door = stack.use(await openDoor(world))
    stack.use(await openWorker(world))
    post = async (name, event, body) => {
      bodies[name] = JSON.stringify({ event, body })
      keys[name] = ((await (await door.post(bodies[name] as string)).json()) as { id: string }).id
    }
    const journey = { journeyId: 'J-1', referenceNo: 'CUST-1' }
    await post('step', 'Finished User Steps', { eventId: 'step-1', ...journey })
    await post('end', 'Finished Journey', { eventId: 'end-1', ...journey, systemDecision: 'Refer' })
    await post('hostile', HOSTILE, {
      eventId: HOSTILE,
      journeyId: HOSTILE,
      referenceNo: HOSTILE,
      systemDecision: HOSTILE,
      manualDecision: HOSTILE,
      finalDecision: HOSTILE,
      [HOSTILE]: HOSTILE,
    })
    await post('again', 'Updated Journey', {
      eventId: HOSTILE,
      journeyId: HOSTILE,
      action: HOSTILE,
      systemDecision: HOSTILE,
    })
    for (const id of ['.', '..']) await post(id, 'Finished Journey', { eventId: `dot-${id}`, journeyId: id })
    await post('bad', 'Finished Journey', { eventId: 'end-1', ...journey, systemDecision: HOSTILE })
    await eventually(async () => {
      const sql = 'select (select count(*) from events)::int + (select count(*) from dead_letters)::int as n'
      return (await world.rows<{ n: number }>(sql))[0]?.n === 7
    })
  })
  afterAll(() => stack.disposeAsync())

  const accept = { accept: 'text/html' }
  const get = (path: string) => console.get(path, { headers: accept })
  const leadsTo = async (q: string) => {
    const response = await get(`/search?q=${encodeURIComponent(q)}`)
    return response.headers.get('location') ?? response.status
  }

  it('the box leads to the thing itself if there is one, and lists what there is otherwise', async () => {
    expect(await leadsTo('end-1')).toBe(`/events/${keys.end}`)
    expect(await leadsTo(keys.step as string)).toBe(`/events/${keys.step}`)
    expect(await leadsTo('J-1')).toBe('/journeys/live/J-1')
    expect(await leadsTo('CUST-1')).toBe('/journeys/live/J-1')
    expect(await leadsTo('CUST')).toBe(200)
    expect(await leadsTo(HOSTILE)).toBe(`/journeys/live/${encodeURIComponent(HOSTILE)}`)
    const miss = await get('/search?q=CUST-9')
    expect([miss.status, await miss.text()]).toEqual([200, expect.stringContaining('/journeys/live/J-1')])
  })

  it('a pasted e-mail with 12 ids gives 12 rows, also to a viewer', async () => {
    const ids = [...Array.from({ length: 10 }, () => randomUUID()), 'step-1', 'end-1']
    const q = `Undelivered webhooks:\n${ids.map((id) => `- Finished Step, eventId: ${id}, 4 attempts`).join('\n')}`
    const headers = { ...accept, 'sec-fetch-site': 'same-origin' }
    const response = await console.get('/search', {
      method: 'POST',
      as: VIEWER,
      headers,
      body: new URLSearchParams({ q }),
    })
    const text = await response.text()
    expect(text.match(/<tr><td class="wide">/g)).toHaveLength(12)
    expect(text).toContain('10 of 12 names in the text are not here.')
    const { items } = await console.json(`/api/v1/search?q=${encodeURIComponent(q)}`)
    expect(items.filter(({ status }: { status: string }) => status === 'landed')).toMatchObject([
      { name: 'step-1' },
      { name: 'end-1' },
    ])
  })

  it('bytes are downloaded exactly, as a file, and a receipt names them', async () => {
    const response = await console.get(`/events/${keys.hostile}/raw`)
    const bytes = Buffer.from(await response.arrayBuffer())
    expect(bytes.toString()).toBe(bodies.hostile)
    expect(response.headers.get('content-type')).toBe('application/octet-stream')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('content-disposition')).toMatch(/^attachment; /)
    const hash = createHash('sha256').update(bytes).digest('hex')
    expect(await (await get(`/events/${keys.hostile}`)).text()).toContain(hash)
    expect(await console.json(`/events/${keys.hostile}/receipt`)).toMatchObject({
      sha256: hash,
      eventKey: keys.hostile,
    })
  })

  it('no page has anything of a hostile event but as text', async () => {
    const hostile = encodeURIComponent(HOSTILE)
    const paths = [
      '/events',
      '/events?view=conflicts',
      '/events?view=unrecognised',
      `/events/${keys.hostile}`,
      `/events/${keys.again}`,
      `/events/${keys.end}`,
      `/journeys/live/${hostile}`,
      `/journeys/live/${hostile}?at=${keys.hostile}`,
      `/journeys/live/${hostile}x`,
      `/search?q=${hostile}x`,
      `/search?q=${hostile}%0A${hostile}1`,
      `/events?journey=${hostile}&reference=${hostile}&decision=${hostile}&body=${hostile}`,
      `/events?journey=${hostile}&decision=${hostile}`,
    ]
    for (const path of paths) {
      // The form shows what was asked as it is.
      const text = (await (await get(path)).text()).replace(
        / value="[^"]*"|<textarea[\s\S]*?<\/textarea>/g,
        '',
      )
      expect(text, path).not.toMatch(
        /<script(?! defer src="\/assets\/)|<img|\sonerror=\S*alert\(1\)[^&]*>|\u202e/,
      )
      expect(text, path).not.toContain('</textarea><script')
    }
  })

  it('refuses in words what cannot be asked', async () => {
    const bad = [
      '/events?limit=101',
      '/events?limit=0',
      '/events?before=x',
      '/events?from=yesterday',
      '/events?view=none',
      '/events?view=failed&via=redis',
      '/events?view=waiting&before=x',
      '/events?body=x',
      '/events?environment=a%20b',
      `/search?q=${'x'.repeat(10_240)}`,
      '/events/x',
      '/events/x/raw',
      '/journeys/live/J-1?at=x',
      '/journeys/live/J-1?zone=x',
      '/journeys/a%20b/J-1',
      '/live/events?top=x',
    ]
    for (const path of bad) expect([path, (await get(path)).status]).toEqual([path, 400])
    // Never in the words of the schema library.
    for (const path of ['/operations/x', '/operations?before=-1', '/now?format=xml', '/search?q=1&q=2']) {
      const response = await get(path)
      expect([path, response.status, await response.text()]).toEqual([
        path,
        400,
        expect.not.stringMatching(/Invalid|expected|received|NaN/),
      ])
    }
    for (const path of [
      'events?limit=101',
      'events?before=x',
      `search?q=${'x'.repeat(10_240)}`,
      'events/x',
      'journeys/live/J-1?at=x',
    ]) {
      const response = await console.get(`/api/v1/${path}`)
      expect([path, response.status, await response.json()]).toEqual([
        path,
        400,
        { error: expect.any(String) },
      ])
    }
    expect((await get(`/events/${'ab'.repeat(32)}`)).status).toBe(404)
    expect((await get('/journeys/live/J-9')).status).toBe(404)
  })

  it('the list has open dead letters with their tries, and how long each landing took', async () => {
    const page = await (await get('/events')).text()
    expect(page).toMatch(/data-label="took">\d+ (ms|s)</)
    expect(page).toMatch(/\/dead-letters\/\d+.*data-label="took">1 try</s)
  })

  it('the API answers the same as the pages', async () => {
    const first = await console.json('/api/v1/events?limit=1&via=inbox')
    expect(first.items).toMatchObject([{ what: 'event', environment: 'live' }])
    expect((await console.json(first.next)).items).toHaveLength(1)
    const event = await console.json(`/api/v1/events/${keys.end}`)
    expect(Buffer.from(event.event.raw, 'base64').toString()).toBe(bodies.end)
    expect(event).toMatchObject({ letters: [{ reason: 'conflict' }], previous: { eventKey: keys.step } })
    const now = await console.json('/api/v1/journeys/live/J-1')
    expect([now.state.stage, now.timeline.length, now.letters.length]).toEqual(['finished', 2, 1])
    const then = await console.json(`/api/v1/journeys/live/J-1?at=${keys.step}`)
    expect([then.state.stage, then.timeline.length]).toEqual(['submitted', 1])
    const { paths } = await console.json('/api/v1/openapi.json')
    expect(Object.keys(paths)).toEqual(
      expect.arrayContaining(['/api/v1/search', '/api/v1/events', '/api/v1/events/{key}']),
    )
  })

  it.each(['.', '..'])(
    'a journey that is called %s has an address that browsers leave as it is',
    async (id) => {
      expect(await leadsTo(id)).toBe(`/journeys/live?id=${id}`)
      const path = new URL(`${console.url}/journeys/live?id=${id}`)
      const page = await (await get(path.pathname + path.search)).text()
      expect(page).toContain(`Journey <code>${id}</code>`)
      expect(page).toMatch(/href="\/journeys\/live\?id=\.+&amp;at=/)
      expect(await console.json(`/api/v1/journeys/live?id=${id}`)).toMatchObject({ journeyId: id, total: 1 })
    },
  )

  it('an event that waits shows its body, and gives its bytes', async () => {
    await world.rows(`create function refuse() returns trigger language plpgsql as $$
        begin raise exception 'no' using errcode = '57P03'; end $$;
      create trigger refuse before insert on events for each row execute function refuse()`)
    await post('waits', 'Finished Journey', { eventId: 'waits-1', journeyId: 'J-2', nested: { big: 1 } })
    const page = await (await get(`/events/${keys.waits}`)).text()
    expect(page).toContain('Finished Journey waits in the inbox.')
    expect(page).toContain('&quot;nested&quot;')
    const bytes = Buffer.from(await (await console.get(`/events/${keys.waits}/raw`)).arrayBuffer())
    expect(bytes.toString()).toBe(bodies.waits)
    expect(page).toContain(createHash('sha256').update(bytes).digest('hex'))
    const { raw, waiting } = await console.json(`/api/v1/events/${keys.waits}`)
    expect([Buffer.from(raw, 'base64').toString(), waiting.where]).toEqual([bodies.waits, 'inbox'])
    expect(await console.json(`/events/${keys.waits}/receipt`)).toMatchObject({ landedAt: null })
    const journey = await (await get('/journeys/live/J-2')).text()
    expect(journey).toContain('Nothing of this journey has landed.')
    expect(journey).toContain('1 event of this journey waits')
    expect(await console.json('/api/v1/journeys/live/J-2')).toMatchObject({
      state: null,
      waiting: [{ where: 'inbox', eventId: 'waits-1' }],
    })
    expect(await (await get('/events?view=waiting&decision=Refer')).text()).toContain(
      'No event has all of this',
    )
    await world.rows('drop function refuse cascade')
    await eventually(async () => (await console.json(`/events/${keys.waits}/receipt`)).landedAt !== null)
  })

  it('htmx gets an event alone, to be shown beside the list', async () => {
    const headers = { ...accept, 'hx-request': 'true', 'hx-target': 'aside#detail' }
    const part = await (await console.get(`/events/${keys.end}`, { headers })).text()
    expect(part).toMatch(/^<button [^>]*data-close>Close .*<\/button><article>/)
    expect(await (await get(`/events/${keys.end}`)).text()).toContain('<nav')
  })
})
