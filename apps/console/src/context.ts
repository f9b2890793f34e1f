import type { Stores } from '@sluice/shared/operations'
import type { Health, Log } from '@sluice/shared/runtime'
import Fastify, { type FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { ConsoleConfig } from './config.ts'
import type { Live } from './live.ts'
import type { Now } from './now.ts'
import type { People } from './sign-in/credentials.ts'

/** A Fastify whose routes take their types from zod schemas. */
export type App = ReturnType<typeof createFastify>

/** What pages and API use. */
export type ConsoleDeps = {
  readonly config: ConsoleConfig
  /** Who may sign in with user and secret. */
  readonly people: People
  /** For reading: statements end after 2 s, and cannot write. */
  readonly stores: Stores
  /** For the acts of operators. */
  readonly actStores: Stores
  readonly live: Live
  /** At most once a second, however many ask. */
  readonly readNow: () => Promise<Now>
  readonly log: Log
  readonly health: () => Health
  /** Where the ingest listens, if that is known. */
  readonly ingestUrl: string | undefined
}

/** 10 kB of a pasted text, percent-encoded in a form. */
const BODY_LIMIT_BYTES = 64 * 1024
const URL_LIMIT = 16 * 1024

/** @param trustedProxies whose X-Forwarded-… is believed */
export function createFastify(trustedProxies: readonly string[]) {
  return Fastify({
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    bodyLimit: BODY_LIMIT_BYTES,
    routerOptions: { maxParamLength: 1_024 },
    requestTimeout: 10_000,
    http: { maxHeaderSize: URL_LIMIT },
    forceCloseConnections: true,
    // An address that cannot be read reaches no hook.
    frameworkErrors: ({ statusCode = 400 }, _request, answer) => {
      const reply = answer as unknown as FastifyReply
      reply.header('content-security-policy', "default-src 'none'").header('cache-control', 'no-store')
      return reply.code(statusCode).type('text/plain; charset=utf-8').send('This address cannot be read.\n')
    },
  }).withTypeProvider<ZodTypeProvider>()
}
