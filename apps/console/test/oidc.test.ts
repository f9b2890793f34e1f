import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openConsole } from '@sluice/testkit/console'
import { createWorld, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

type Provider = AsyncDisposable & { issuer: string; claims: Record<string, unknown>; key: KeyObject }

/** A provider of OpenID Connect on this machine, which signs everybody in with these claims. */
async function startProvider(): Promise<Provider> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const state: { nonce?: string } = {}
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', provider.issuer)
    const answer = (body: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (url.pathname === '/.well-known/openid-configuration') {
      return answer({
        issuer: provider.issuer,
        authorization_endpoint: `${provider.issuer}/authorize`,
        token_endpoint: `${provider.issuer}/token`,
        jwks_uri: `${provider.issuer}/keys`,
        id_token_signing_alg_values_supported: ['RS256'],
      })
    }
    if (url.pathname === '/keys')
      return answer({ keys: [{ ...publicKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }] })
    if (url.pathname === '/authorize') {
      state.nonce = url.searchParams.get('nonce') ?? ''
      const back = `${url.searchParams.get('redirect_uri')}?code=a-code&state=${url.searchParams.get('state')}`
      return response.writeHead(302, { location: back }).end()
    }
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: provider.issuer,
      aud: 'sluice',
      iat: now,
      exp: now + 60,
      nonce: state.nonce,
      ...provider.claims,
    }
    return answer({ access_token: 'a-token', token_type: 'Bearer', id_token: jwt(claims, provider.key) })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const provider: Provider = {
    issuer: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    claims: {},
    key: privateKey,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return provider
}

function jwt(claims: object, key: KeyObject): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const text = `${encode({ alg: 'RS256' })}.${encode(claims)}`
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
}

describe('signing in through OpenID Connect', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let provider: Provider
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    provider = stack.use(await startProvider())
  })
  afterAll(() => stack.disposeAsync())

  /** Goes the way of a browser. @returns the last answer, and the cookie of the session */
  async function signIn(claims: Record<string, unknown>, alter = (url: URL) => url) {
    provider.claims = claims
    await using console = await openConsole(world, {
      credentials: [],
      operators: ['olga@example.com', 'email=otto@example.com', 'groups=sluice-operators'],
      oidc: { issuer: provider.issuer, clientId: 'sluice', clientSecret: 'a-client-secret' },
    })
    const manual = { redirect: 'manual', headers: { accept: 'text/html' } } as const
    const began = await fetch(`${console.url}/sign-in/oidc?next=/audit`, manual)
    const pending = began.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const led = await fetch(began.headers.get('location') ?? '', manual)
    const back = alter(new URL(led.headers.get('location') ?? ''))
    const ended = await fetch(back, { redirect: 'manual', headers: { accept: 'text/html', cookie: pending } })
    const session = ended.headers.getSetCookie().find((cookie) => cookie.startsWith('__Host-sluice='))
    const cookie = session?.split(';')[0] ?? ''
    const home = await fetch(`${console.url}/`, { ...manual, headers: { ...manual.headers, cookie } })
    return {
      status: ended.status,
      text: await ended.text(),
      home: { status: home.status, text: await home.text() },
    }
  }

  it.each([
    [
      'named by a verified e-mail address',
      { sub: 'x', email: 'olga@example.com', email_verified: true },
      'operator',
    ],
    ['named by a claim that is a list', { sub: 'x', groups: ['staff', 'sluice-operators'] }, 'operator'],
    [
      'named by an address that is not verified',
      { sub: 'x', email: 'olga@example.com', email_verified: false },
      'viewer',
    ],
    ['named by an address of which nothing is said', { sub: 'x', email: 'olga@example.com' }, 'viewer'],
    [
      'named by a claim that is a verified address',
      { sub: 'x', email: 'otto@example.com', email_verified: true },
      'operator',
    ],
    ['named by a claim that is an address', { sub: 'x', email: 'otto@example.com' }, 'viewer'],
    ['anybody else', { sub: 'x', email: 'vera@example.com', email_verified: true }, 'viewer'],
  ])('%s is what CONSOLE_OPERATORS says', async (_who, claims, role) => {
    const { status, text, home } = await signIn(claims)
    expect(status).toBe(200)
    expect(text).toContain('url=/audit')
    expect(home.status).toBe(200)
    expect(home.text.includes('(viewer)')).toBe(role === 'viewer')
  })

  it('refuses a state that it did not give, and a token of another key', async () => {
    const forged = await signIn({ sub: 'x' }, (url) => {
      url.searchParams.set('state', 'another')
      return url
    })
    expect([forged.status, forged.home.status]).toEqual([401, 303])
    const { key } = provider
    provider.key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const signed = await signIn({ sub: 'x' })
    provider.key = key
    expect([signed.status, signed.home.status]).toEqual([401, 303])
  })
})
