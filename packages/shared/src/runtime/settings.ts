import { readFileSync } from 'node:fs'
import { BlockList, isIP } from 'node:net'
import * as z from 'zod'
import { UserError } from './errors.ts'
import { parseRedisUrl } from './redis-url.ts'

export type Env = Readonly<Record<string, string | undefined>>

/**
 * Reads settings from the environment. An empty value counts as unset, and a setting named in `fromFile` may also
 * come from the file that `<NAME>_FILE` names (Docker and Kubernetes secrets).
 *
 * @throws UserError that lists every wrong setting at once; it never shows a value, which may be a secret.
 */
export function readSettings<Shape extends z.ZodObject>(
  env: Env,
  shape: Shape,
  fromFile: readonly string[] = [],
): z.output<Shape> {
  const problems: string[] = []
  const given: Record<string, string> = {}
  for (const name of Object.keys(shape.shape)) {
    const value = fromFile.includes(name) ? valueOrFile(env, name, problems) : env[name]
    if (value !== undefined && value.trim() !== '') given[name] = value.trim()
  }
  const parsed = shape.safeParse(given)
  for (const issue of parsed.error?.issues ?? []) {
    const name = String(issue.path[0])
    if (problems.some((problem) => problem.startsWith(`${name}_FILE`))) continue
    problems.push(`${name} ${given[name] === undefined ? 'is not set' : issue.message}`)
  }
  if (problems.length > 0) throw new SettingsError(problems)
  return parsed.data as z.output<Shape>
}

/** Every wrong setting, in one message. */
export class SettingsError extends UserError {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    const lines = problems.map((problem) => `  - ${problem}`).join('\n')
    super(`Wrong settings (docs/operations.md describes each):\n${lines}`)
    this.problems = problems
  }
}

/** What is wrong for any of these readers, each problem once. */
export function settingsProblems(env: Env, readers: readonly ((env: Env) => unknown)[]): string[] {
  const problems = new Set<string>()
  for (const read of readers) {
    try {
      read(env)
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      for (const problem of error.problems) problems.add(problem)
    }
  }
  return [...problems]
}

function valueOrFile(env: Env, name: string, problems: string[]): string | undefined {
  const value = env[name]
  const file = env[`${name}_FILE`]
  if (!file) return value
  if (value) {
    problems.push(`${name}_FILE is set and so is ${name}; keep one of them`)
    return undefined
  }
  try {
    const content = readFileSync(file, 'utf8')
    if (content.trim() === '') problems.push(`${name}_FILE names an empty file`)
    return content
  } catch (error) {
    problems.push(`${name}_FILE names a file that cannot be read (${(error as NodeJS.ErrnoException).code})`)
    return undefined
  }
}

/** A TCP port; 0 lets the system choose. */
export const port = (byDefault: number) =>
  z
    .string()
    .regex(/^\d+$/, 'is not a port number')
    .transform(Number)
    .refine((number) => number <= 65_535, 'is not a port number (0 to 65535)')
    .default(byDefault)

export const wholeNumber = (byDefault: number, min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'is not a whole number')
    .transform(Number)
    .refine((number) => number >= min && number <= max, `is not between ${min} and ${max}`)
    .default(byDefault)

/** A list of addresses and networks, such as `10.0.0.0/8, 2001:db8::/32`. A bare number of hops is refused. */
export const networks = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter((entry) => entry !== ''))
  .refine((entries) => entries.every(isNetwork), 'is not a list of networks in CIDR form, such as 10.0.0.0/8')
  .default([])

function isNetwork(entry: string): boolean {
  const [address = '', bits, ...more] = entry.split('/')
  const version = isIP(address)
  if (version === 0 || more.length > 0) return false
  return bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

/** The networks as a list to check addresses against. */
export function blockList(entries: readonly string[]): BlockList {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/')
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    list.addSubnet(address, bits === undefined ? (family === 'ipv4' ? 32 : 128) : Number(bits), family)
  }
  return list
}

const POSTGRES_FORM = /^postgres(ql)?:\/\/\S+$/

export const databaseUrl = z
  .string()
  .regex(POSTGRES_FORM, 'is not a postgres:// URL')
  .refine(
    (url) => !POSTGRES_FORM.test(url) || URL.canParse(url),
    'is not a URL; percent-encode special characters in the password',
  )

export const redisUrl = z.string().superRefine((url, context) => {
  const parsed = parseRedisUrl(url)
  if ('problem' in parsed) context.addIssue({ code: 'custom', message: parsed.problem })
})

/** What every process reads: log level and the address that it listens on. */
export const processSettings = {
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error'], 'is not one of trace, debug, info, warn, error')
    .default('info'),
  LISTEN_HOST: z.string().default('127.0.0.1'),
  METRICS_PORT: port(9464),
  SLUICE_DURABILITY: z.enum(['strict', 'warn'], 'is neither strict nor warn').default('warn'),
}

/** Where the queue lies: unset REDIS_URL means the inbox in Postgres alone. */
export const queueSettings = {
  REDIS_URL: redisUrl.optional(),
  QUEUE_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,40}$/, 'is not 1 to 40 letters, digits, - or _')
    .default('sluice'),
  QUEUE_SHARDS: wholeNumber(1, 1, 64),
  REDIS_ACKS: z
    .string()
    .regex(/^(auto|\d)$/, 'is neither auto nor a number of replicas (0 to 9)')
    .transform((text) => (text === 'auto' ? text : Number(text)))
    .default('auto'),
}
