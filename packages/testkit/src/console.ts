import { type ConsoleConfig, readConsoleConfig, startConsole } from '@sluice/console'
import { createLog } from '@sluice/shared/runtime'
import type { World } from './world.ts'

/** Two people of the tests, with their headers for HTTP Basic. */
export const OPERATOR = person('operator', 'olivia', 'a-secret-of-olivia')
export const VIEWER = person('viewer', 'victor', 'a-secret-of-victor')

function person(role: string, user: string, secret: string) {
  const authorization = `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`
  return { user, secret, entry: `${role}:${user}:${secret}`, headers: { authorization } }
}

export type OpenedConsole = AsyncDisposable & {
  url: string
  /** What `/readyz` of METRICS_PORT says. */
  health: Awaited<ReturnType<typeof startConsole>>['health']
  /** Asks as curl does: with HTTP Basic, and without following a redirect. */
  get(path: string, init?: RequestInit & { as?: typeof OPERATOR }): Promise<Response>
  /** Asks the API, and expects an answer below 400. */
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what it asks for
  json(path: string, init?: RequestInit & { as?: typeof OPERATOR }): Promise<any>
}

/** Runs a console in this process. */
export async function openConsole(
  world: World,
  { env = {}, ...config }: Partial<ConsoleConfig> & { env?: Record<string, string> } = {},
): Promise<OpenedConsole> {
  const settings = {
    ...world.env,
    CONSOLE_PORT: '0',
    CONSOLE_CREDENTIALS: `${OPERATOR.entry} ${VIEWER.entry}`,
    ...env,
  }
  const log = createLog('test', process.env.TEST_LOG_LEVEL ?? 'error')
  const console = await startConsole({ ...readConsoleConfig(settings), ...config }, { log })
  const url = `http://127.0.0.1:${console.port}`
  const get: OpenedConsole['get'] = (path, { as = OPERATOR, headers, ...init } = {}) =>
    fetch(url + path, { redirect: 'manual', ...init, headers: { ...as.headers, ...headers } })
  return {
    url,
    health: console.health,
    get,
    async json(path, init) {
      const response = await get(path, init)
      if (response.status >= 400) throw new Error(`${path}: ${response.status} ${await response.text()}`)
      return response.json()
    },
    [Symbol.asyncDispose]: () => console[Symbol.asyncDispose](),
  }
}
