import * as z from 'zod'

/** One way for the sender to authenticate (portal of IDWise: Webhooks, Authentication). `none`: anybody may post. */
export type Credential =
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'header'; readonly name: string; readonly value: string }
  | { readonly kind: 'none' }

const MIN_SECRET = 16
const FORMS = 'basic:USER:PASSWORD, bearer:TOKEN, header:NAME:VALUE or the single word none'
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
/** Headers that HTTP or a proxy sets: as credentials they would let in everybody or nobody. */
const RESERVED_HEADERS = new Set([
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'proxy-authorization',
  'set-cookie',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
])

const settingOf = (source: string, what: string) =>
  `IDWISE_${source.toUpperCase().replaceAll('-', '_')}_${what}`

/** The name of the setting with the credentials of a source. */
export const credentialsSetting = (source: string) => settingOf(source, 'CREDENTIALS')

/** The name of the setting with the addresses that may post to a source. */
export const allowedIpsSetting = (source: string) => settingOf(source, 'ALLOWED_IPS')

/** A value for the credentials of each source, such as a schema. */
export function credentialSettings<T>(sources: readonly string[], value: T): Record<string, T> {
  return Object.fromEntries(sources.map((source) => [credentialsSetting(source), value]))
}

/** The schema of such a setting. */
export const credentials = z
  .string()
  .transform((text, context) => {
    const { credentials, problems } = parseCredentials(text)
    for (const message of problems) context.issues.push({ code: 'custom', message, input: undefined })
    return problems.length > 0 ? z.NEVER : credentials
  })
  .meta({ fromFile: true })

/**
 * Reads a list of credentials that are separated by white space. Reserved characters are percent-encoded.
 *
 * @returns the credentials and all problems. A problem names the position in the list, never the secret.
 */
export function parseCredentials(text: string): { credentials: Credential[]; problems: string[] } {
  const words = text.split(/\s+/).filter((word) => word !== '')
  const problems: string[] = []
  const credentials: Credential[] = []
  words.forEach((word, index) => {
    const parsed = parseCredential(word)
    if (typeof parsed === 'string') problems.push(`credential ${index + 1} ${parsed}`)
    else credentials.push(parsed)
  })
  if (words.length === 0) problems.push(`is empty; give one or more of ${FORMS}`)
  if (words.length > 1 && credentials.some((credential) => credential.kind === 'none')) {
    problems.push('has the word none with other credentials; none must stand alone')
  }
  return { credentials, problems }
}

function parseCredential(word: string): Credential | string {
  if (word === 'none') return { kind: 'none' }
  const [kind, ...rest] = word.split(':')
  const parts = rest.map(decode)
  if (parts.some((part) => part === undefined))
    return 'has a % that is not a percent-encoded character; write %25'
  const [first = '', second = ''] = parts as string[]
  const count = { basic: 2, bearer: 1, header: 2 }[kind as 'basic' | 'bearer' | 'header']
  if (count === undefined || parts.length !== count)
    return `is none of ${FORMS}; a colon inside a part is written %3A`
  const secret = count === 2 ? second : first
  if (secret.length < MIN_SECRET) return `has a secret shorter than ${MIN_SECRET} characters`
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they cannot be sent in a header
  if (/[\x00-\x1f\x7f]/.test(first + second)) return 'has a control character, which no header can carry'
  if (kind !== 'basic' && secret !== secret.trim())
    return 'has a blank at the start or end of its secret, which no header can carry'
  switch (kind) {
    case 'basic':
      if (first.includes(':')) return 'has a colon in its user name, which HTTP Basic cannot carry'
      return { kind, user: first, password: second }
    case 'bearer':
      return { kind, token: first }
    default: {
      const name = first.toLowerCase()
      if (!HEADER_NAME.test(name)) return 'has a header name with characters that a header name cannot have'
      if (RESERVED_HEADERS.has(name)) return `uses the header ${name}, which is not free to carry a secret`
      return { kind: 'header', name, value: second }
    }
  }
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
