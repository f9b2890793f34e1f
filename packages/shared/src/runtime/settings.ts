import { readFileSync } from 'node:fs'
import * as z from 'zod'
import { UserError } from './errors.ts'
import { parseRedisUrl } from './redis-url.ts'

export type Env = Readonly<Record<string, string | undefined>>

declare module 'zod' {
  interface GlobalMeta {
    /** The setting may also come from the file that `<NAME>_FILE` names (secrets of Docker and Kubernetes). */
    fromFile?: boolean
  }
}

/** Whether a setting may also come from a file. */
export function isFromFile(setting: z.core.$ZodType): boolean {
  if (setting instanceof z.ZodOptional) return isFromFile(setting.unwrap())
  return z.globalRegistry.get(setting)?.fromFile === true
}

/**
 * Reads settings from the environment. An empty value counts as unset.
 *
 * @throws SettingsError that lists all wrong settings; it never shows a value, which may be a secret.
 */
export function readSettings<Shape extends z.ZodObject>(env: Env, shape: Shape): z.output<Shape> {
  const problems: string[] = []
  const given: Record<string, string> = {}
  for (const [name, setting] of Object.entries(shape.shape)) {
    const value = isFromFile(setting) ? valueOrFile(env, name, problems) : env[name]
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

/** All wrong settings, in one message. */
export class SettingsError extends UserError {
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    const lines = problems.map((problem) => `  - ${problem}`).join('\n')
    super(`Wrong settings (docs/operations.md describes each):\n${lines}`)
    this.problems = problems
  }
}

/** The problems that any of these readers finds, each once. */
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

/** A TCP port. 0 lets the system choose. */
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

/** A number of days such as 400d; undefined if it is unset. */
export const days = (example: string) =>
  z
    .string()
    .regex(/^[1-9]\d{0,4}d$/, `is not a number of days such as ${example}`)
    .transform((text) => Number(text.slice(0, -1)))
    .optional()

/** The path of a folder; undefined if it is unset. */
export const folder = z.string().startsWith('/', 'is not an absolute path').optional()

const redisUrl = z
  .string()
  .superRefine((url, context) => {
    const parsed = parseRedisUrl(url)
    if ('problem' in parsed) context.addIssue({ code: 'custom', message: parsed.problem })
  })
  .meta({ fromFile: true })

/** The settings of every process. */
export const processSettings = {
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error'], 'is not one of trace, debug, info, warn, error')
    .default('info'),
  PROBES_HOST: z.string().default('127.0.0.1'),
  METRICS_PORT: port(9464),
}

/** The setting of the processes that give events to a store or take them from it. */
export const durabilitySettings = {
  SLUICE_DURABILITY: z.enum(['strict', 'warn'], 'is neither strict nor warn').default('warn'),
}

/** The settings of the queue. */
export const queueSettings = {
  REDIS_URL: redisUrl.optional(),
  QUEUE_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,40}$/, 'is not 1 to 40 letters, digits, - or _')
    .default('sluice'),
  QUEUE_SHARDS: wholeNumber(1, 1, 64),
  REDIS_ACKS: z
    .string()
    .regex(/^(auto|\d)$/, 'is neither auto nor a number of replicas from 0 to 9')
    .transform((text): 'auto' | number => (text === 'auto' ? text : Number(text)))
    .default('auto'),
}

/** Where the queue is; undefined without REDIS_URL: then the inbox in Postgres is the only queue. */
export function queueLocation(settings: z.output<z.ZodObject<typeof queueSettings>>) {
  const { REDIS_URL: url, QUEUE_PREFIX: prefix, QUEUE_SHARDS: shards, REDIS_ACKS: acks } = settings
  return url === undefined ? undefined : { url, prefix, shards, acks }
}
