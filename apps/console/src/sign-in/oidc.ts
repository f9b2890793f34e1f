import type { FastifyReply, FastifyRequest } from 'fastify'
import * as z from 'zod'
import type { ConsoleConfig, OidcConfig } from '../config.ts'
import type { App } from '../context.ts'
import { Problem } from '../errors.ts'
import { html } from '../html.ts'
import { page } from '../layout.ts'
import { isPrivate, originOf } from '../same-origin.ts'
import type { Role } from './credentials.ts'
import { NEXT, pathOf } from './next.ts'
import type { Sessions } from './session.ts'

const COOKIE = '__Host-sluice-oidc'
const MAX_AGE_SECONDS = 600
/** Lax: the provider leads back to here from its own site. */
const COOKIE_OPTIONS = { path: '/', httpOnly: true, secure: true, sameSite: 'lax' } as const

type Pending = { verifier: string; state: string; nonce: string; next?: string | undefined }

/** Signing in through an OpenID Connect provider: code flow with PKCE. Only then the library is loaded. */
export async function addOidc(
  app: App,
  { config, oidc, sessions }: { config: ConsoleConfig; oidc: OidcConfig; sessions: Sessions },
): Promise<void> {
  const client = await import('openid-client')
  const forAnybody = { config: { access: 'anybody' as const } }
  let discovered: ReturnType<typeof client.discovery> | undefined
  const insecure = new URL(oidc.issuer).protocol === 'http:'

  /** The provider may be away when the console starts. */
  async function provider() {
    discovered ??= client.discovery(new URL(oidc.issuer), oidc.clientId, oidc.clientSecret, undefined, {
      timeout: 5,
      // The signature of the token is checked too, also where TLS has shown already who sent it.
      execute: [client.enableNonRepudiationChecks, ...(insecure ? [client.allowInsecureRequests] : [])],
    })
    try {
      return await discovered
    } catch {
      discovered = undefined
      throw new Problem(503, 'The OpenID Connect provider does not answer.')
    }
  }

  app.get(
    '/sign-in/oidc',
    { ...forAnybody, schema: { hide: true, querystring: z.object({ next: NEXT }) } },
    async (request, reply) => {
      if (!isPrivate(request)) throw new Problem(400, 'Signing in needs HTTPS.')
      const verifier = client.randomPKCECodeVerifier()
      const pending: Pending = {
        verifier,
        state: client.randomState(),
        nonce: client.randomNonce(),
        next: request.query.next,
      }
      const url = client.buildAuthorizationUrl(await provider(), {
        redirect_uri: `${originOf(request)}/sign-in/oidc/callback`,
        scope: 'openid email profile',
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state: pending.state,
        nonce: pending.nonce,
      })
      const text = Buffer.from(JSON.stringify(pending)).toString('base64url')
      reply.setCookie(COOKIE, text, { ...COOKIE_OPTIONS, maxAge: MAX_AGE_SECONDS })
      return reply.redirect(url.href, 303)
    },
  )

  app.get('/sign-in/oidc/callback', { ...forAnybody, schema: { hide: true } }, async (request, reply) => {
    const pending = pendingIn(request)
    reply.clearCookie(COOKIE, COOKIE_OPTIONS)
    if (!pending)
      throw new Problem(400, 'This sign-in took too long, or began in another browser. Try again.')
    const claims = await client
      .authorizationCodeGrant(await provider(), new URL(request.url, originOf(request)), {
        pkceCodeVerifier: pending.verifier,
        expectedState: pending.state,
        expectedNonce: pending.nonce,
        idTokenExpected: true,
      })
      .then((tokens) => tokens.claims())
      .catch(() => undefined)
    if (!claims)
      throw new Problem(401, 'The OpenID Connect provider did not confirm this sign-in. Try again.')
    const verified =
      claims.email_verified !== false && typeof claims.email === 'string' ? claims.email : undefined
    const name = (verified ?? claims.sub).slice(0, 100)
    sessions.beginElsewhere(reply, { name, role: roleOf({ ...claims, name }, config.operators) })
    return leadOn(request, reply, pathOf(pending.next))
  })
}

/**
 * A page that leads on. A redirect would still count as a step of the provider's site, and the browser would not send
 * the session's strict cookie.
 */
function leadOn(request: FastifyRequest, reply: FastifyReply, path: string): FastifyReply {
  const refresh = `0; url=${path}`
  const body = html`<meta http-equiv="refresh" content="${refresh}"><p><a href="${path}">Go on</a></p>`
  return reply.type('text/html; charset=utf-8').send(String(page(request, { title: 'Signed in', body })))
}

function pendingIn(request: FastifyRequest): Pending | undefined {
  try {
    return JSON.parse(Buffer.from(request.cookies[COOKIE] ?? '', 'base64url').toString())
  } catch {
    return undefined
  }
}

/** An operator is named in CONSOLE_OPERATORS, by name or by `claim=value`. A claim may be a list. */
function roleOf(
  claims: { readonly name: string; readonly [claim: string]: unknown },
  operators: readonly string[],
): Role {
  const isOperator = operators.some((entry) => {
    const [claim = '', ...rest] = entry.split('=')
    if (rest.length === 0) return entry === claims.name
    const given = Object.hasOwn(claims, claim) ? claims[claim] : undefined
    const values = Array.isArray(given) ? given : [given]
    return values.includes(rest.join('='))
  })
  return isOperator ? 'operator' : 'viewer'
}
