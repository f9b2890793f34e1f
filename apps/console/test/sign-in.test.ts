import { hashSecret } from '@sluice/console'
import { OPERATOR, type OpenedConsole, openConsole, VIEWER } from '@sluice/testkit/console'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

describe('signing in', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let shared: OpenedConsole

  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    shared = stack.use(await openConsole(world))
  })
  afterAll(() => stack.disposeAsync())

  const BROWSER = { accept: 'text/html', 'sec-fetch-site': 'same-origin' }

  /** Asks as a browser does, without a session unless `cookie` has one. */
  const ask = (path: string, init: RequestInit = {}, { url }: OpenedConsole = shared) =>
    fetch(url + path, { redirect: 'manual', ...init, headers: { ...BROWSER, ...init.headers } })

  const form = (fields: Record<string, string>): RequestInit => ({
    method: 'POST',
    body: new URLSearchParams(fields),
  })

  const signIn = (
    { user, secret }: { user: string; secret: string } = OPERATOR,
    init: RequestInit = {},
    console = shared,
  ) => ask('/sign-in', { ...form({ user, secret }), ...init }, console)

  const cookieOf = (response: Response) => response.headers.get('set-cookie')?.split(';')[0] ?? ''

  it('leads a browser to the form and back, and a program is answered 401', async () => {
    const led = await ask('/events?environment=live')
    expect([led.status, led.headers.get('location')]).toEqual([
      303,
      '/sign-in?next=%2Fevents%3Fenvironment%3Dlive',
    ])
    expect((await ask('/api/v1/state')).status).toBe(401)
    const back = await ask('/sign-in', form({ ...OPERATOR, next: '/events?environment=live' } as never))
    expect([back.status, back.headers.get('location')]).toEqual([303, '/events?environment=live'])
  })

  it.each([
    '/\u20ac',
    '/\u0001',
    '//evil.example',
    '/\\evil.example',
    'https://evil.example',
    'javascript:alert(1)',
    '/ //x',
  ])('leads nobody elsewhere: %s', async (next) => {
    const { user, secret } = OPERATOR
    const response = await ask('/sign-in', form({ user, secret, next }))
    expect(response.headers.get('location')).toBe('/')
  })

  it('gives a cookie that only this host gets, over HTTPS, and no script', async () => {
    const response = await signIn()
    expect(response.status).toBe(303)
    const cookie = response.headers.get('set-cookie') ?? ''
    expect(cookie).toMatch(/^__Host-sluice=/)
    for (const part of ['Path=/', 'HttpOnly', 'Secure', 'SameSite=Strict']) expect(cookie).toContain(part)
    expect(cookie).not.toMatch(/domain|expires|max-age/i)
    expect((await ask('/', { headers: { cookie: cookieOf(response) } })).status).toBe(200)
  })

  it('refuses a cookie that was altered, and one after the sign-out', async () => {
    const cookie = cookieOf(await signIn())
    const [name, value = ''] = cookie.split('=')
    const [payload = '', ...signature] = decodeURIComponent(value).split('.')
    const session = JSON.parse(Buffer.from(payload, 'base64url').toString())
    const forged = Buffer.from(JSON.stringify({ ...session, user: VIEWER.user })).toString('base64url')
    const altered = `${name}=${encodeURIComponent([forged, ...signature].join('.'))}`
    expect((await ask('/', { headers: { cookie: altered } })).status).toBe(303)
    expect((await ask('/sign-out', { method: 'POST', headers: { cookie } })).status).toBe(303)
    expect((await ask('/', { headers: { cookie } })).status).toBe(303)
  })

  it('ends a session when the secret or the role of its entry changes', async () => {
    const cookie = cookieOf(await signIn())
    const { user, secret } = OPERATOR
    for (const entry of [`operator:${user}:another-secret`, `viewer:${user}:${secret}`]) {
      await using changed = await openConsole(world, { env: { CONSOLE_CREDENTIALS: entry } })
      expect((await ask('/', { headers: { cookie } }, changed)).status).toBe(303)
    }
    await using same = await openConsole(world)
    expect((await ask('/', { headers: { cookie } }, same)).status).toBe(200)
  })

  it('takes a hashed secret', async () => {
    const entry = `operator:hedda:${await hashSecret('a-hashed-secret')}`
    await using console = await openConsole(world, { env: { CONSOLE_CREDENTIALS: entry } })
    expect((await signIn({ user: 'hedda', secret: 'a-hashed-secret' }, {}, console)).status).toBe(303)
    expect((await signIn({ user: 'hedda', secret: 'another-secret' }, {}, console)).status).toBe(401)
  })

  describe('with wrong secrets', () => {
    let console: OpenedConsole
    beforeEach(async () => {
      console = stack.use(await openConsole(world))
    })

    it('answers the sixth try with 429, for the form and for HTTP Basic', async () => {
      const wrong = { user: OPERATOR.user, secret: 'a-wrong-secret-x' }
      for (let n = 0; n < 5; n++) expect((await signIn(wrong, {}, console)).status).toBe(401)
      expect((await signIn(wrong, {}, console)).status).toBe(429)
      expect((await console.get('/api/v1/state')).status).toBe(429)
    })

    it('lets no more pass when they come at once, also where a hash takes its time', async () => {
      const entry = `operator:hans:${await hashSecret('a-secret-of-hans')}`
      await using hashed = await openConsole(world, { env: { CONSOLE_CREDENTIALS: entry } })
      const tries = Array.from({ length: 12 }, (_, n) => {
        const authorization = `Basic ${btoa(`hans:a-wrong-secret-${n}`)}`
        return fetch(`${hashed.url}/api/v1/state`, { headers: { authorization } })
      })
      const statuses = (await Promise.all(tries)).map(({ status }) => status)
      expect(statuses.filter((status) => status === 401)).toHaveLength(5)
      expect(statuses.filter((status) => status === 429)).toHaveLength(7)
    })

    it('says the same of a user that does not exist', async () => {
      const known = await signIn({ user: OPERATOR.user, secret: 'a-wrong-secret-x' }, {}, console)
      const unknown = await signIn({ user: 'nobody', secret: 'a-wrong-secret-x' }, {}, console)
      const text = async (response: Response, user: string) => (await response.text()).replaceAll(user, '')
      expect(unknown.status).toBe(known.status)
      expect(await text(unknown, 'nobody')).toBe(await text(known, OPERATOR.user))
    })
  })

  describe('a live page', () => {
    const stream = (headers: Record<string, string>, init: RequestInit = {}) =>
      ask('/live/now', { ...init, headers: { ...headers, accept: 'text/event-stream' } })

    it('ends with the session', async () => {
      const cookie = cookieOf(await signIn())
      const live = await stream({ cookie })
      expect(live.status).toBe(200)
      await ask('/sign-out', { method: 'POST', headers: { cookie } })
      const read = async () => {
        for await (const _ of live.body ?? []);
        return 'ended'
      }
      expect(await read()).toBe('ended')
    })

    it('takes no place for those who have gone, or who ask for its headers', async () => {
      const cookie = cookieOf(await signIn())
      for (let n = 0; n < 60; n++) {
        const stop = new AbortController()
        const going = stream({ cookie }, { signal: stop.signal }).catch(() => {})
        setTimeout(() => stop.abort(), n % 10)
        await going
      }
      const heads = Array.from({ length: 60 }, () =>
        ask('/live/now', { method: 'HEAD', headers: { cookie } }),
      )
      expect(new Set((await Promise.all(heads)).map(({ status }) => status))).toEqual(new Set([200]))
      await eventually(async () => {
        const stop = new AbortController()
        const { body } = await stream({ cookie }, { signal: stop.signal })
        const { value } = (await body?.getReader().read()) ?? {}
        stop.abort()
        return !String(Buffer.from(value ?? [])).includes('live pages already')
      })
    })
  })

  it.each([
    ['from another site', { 'sec-fetch-site': 'cross-site' }, 403],
    ['from another host of this site', { 'sec-fetch-site': 'same-site' }, 403],
    ['with the origin of another', { 'sec-fetch-site': '', origin: 'https://evil.example' }, 403],
    ['without any sign of where it comes from', { 'sec-fetch-site': '' }, 403],
  ])('refuses a post %s', async (_what, headers, status) => {
    const given = Object.fromEntries(Object.entries({ ...BROWSER, ...headers }).filter(([, value]) => value))
    const { user, secret } = OPERATOR
    const response = await fetch(`${shared.url}/sign-in`, {
      ...form({ user, secret }),
      redirect: 'manual',
      headers: given,
    })
    expect(response.status).toBe(status)
  })

  it('takes the origin of this console where a browser sends nothing else', async () => {
    const { user, secret } = OPERATOR
    const headers = { accept: 'text/html', origin: shared.url }
    const response = await fetch(`${shared.url}/sign-in`, {
      ...form({ user, secret }),
      redirect: 'manual',
      headers,
    })
    expect(response.status).toBe(303)
  })

  it('asks for HTTPS away from this machine, and takes no secret', async () => {
    await using console = await openConsole(world, { trustedProxies: ['127.0.0.1'] })
    const away = { 'x-forwarded-host': 'sluice.example', 'x-forwarded-proto': 'http', host: 'sluice.example' }
    const page = await ask('/sign-in', { headers: away }, console)
    expect(await page.text()).toContain('needs HTTPS')
    expect((await console.get('/api/v1/state', { headers: away })).status).toBe(400)
    const overTls = { ...away, 'x-forwarded-proto': 'https' }
    expect((await console.get('/api/v1/state', { headers: overTls })).status).toBe(200)
  })

  it('without credentials is not ready, answers 503 and says how to set them', async () => {
    await using console = await openConsole(world, { credentials: [] })
    expect((await ask('/readyz', {}, console)).status).toBe(503)
    const response = await ask('/', {}, console)
    expect(response.status).toBe(503)
    expect(await response.text()).toContain('CONSOLE_CREDENTIALS=operator:USER:SECRET')
  })

  it('believes the user header of a trusted proxy, and of nobody else', async () => {
    const settings = { userHeader: 'x-user', operators: ['olga'] }
    const asked = { headers: { 'x-user': 'olga' } }
    await using trusting = await openConsole(world, { ...settings, trustedProxies: ['127.0.0.1'] })
    expect((await ask('/', asked, trusting)).status).toBe(200)
    await using other = await openConsole(world, { ...settings, trustedProxies: ['10.0.0.0/8'] })
    expect((await ask('/', asked, other)).status).toBe(303)
  })
})
