import * as z from 'zod'
import type { Env } from './settings.ts'

/**
 * Where events come from: an account of IDWise in one region, or its sandbox. Each source has a path of its own. Its
 * name is the environment of its events, which their keys begin with.
 */
export type Source = {
  readonly name: string
  /** Whether people must hear of it. A payload does not say so. */
  readonly kind: SourceKind
  /** The address of IDWise's API in the region of the account. */
  readonly api: string
}

export type SourceKind = (typeof KINDS)[number]

const KINDS = ['live', 'sandbox'] as const
/** What the name of a source, and so of an environment, looks like. */
export const ENVIRONMENT_NAME = /^[a-z0-9-]{1,32}$/
/** The region of accounts that name none ("Get Journey Summary"). */
const API = 'https://api.idwise.com'
/** Each source has series of metrics of its own, and each search for an id makes keys of all of them. */
const MOST = 20

/** The sources of an installation that names none. */
export const DEFAULT_SOURCES: readonly Source[] = KINDS.map((kind) => ({ name: kind, kind, api: API }))

/** The setting of all processes. A process also reads the events of sources that its own setting does not name. */
export const sourceSettings = {
  IDWISE_SOURCES: z
    .string()
    .transform((text, context) => {
      const { sources, problems } = parseSources(text)
      for (const message of problems) context.issues.push({ code: 'custom', message, input: undefined })
      return problems.length > 0 ? z.NEVER : sources
    })
    .default([...DEFAULT_SOURCES]),
}

/** The sources that the setting names; of a wrong setting those that can be read. */
export function readableSources({ IDWISE_SOURCES: text = '' }: Env): readonly Source[] {
  const { sources } = parseSources(text)
  return sources.length > 0 ? sources : DEFAULT_SOURCES
}

/** What a name is the source of. A name that is not configured is live, since its events may be of real people. */
export function kindOf(sources: readonly Source[], name: string): SourceKind {
  return sources.find((source) => source.name === name)?.kind ?? (name === 'sandbox' ? 'sandbox' : 'live')
}

export const namesOf = (sources: readonly Source[]) => sources.map(({ name }) => name)

/**
 * Reads a list of sources that are separated by white space: `NAME`, `NAME:KIND`, `NAME:KIND@https://HOST`.
 *
 * @returns the sources that can be read, and all problems. A problem shows no more of an entry than its name.
 */
function parseSources(text: string): { sources: Source[]; problems: string[] } {
  const words = text.split(/\s+/).filter((word) => word !== '')
  const problems: string[] = []
  const sources: Source[] = []
  words.forEach((word, index) => {
    const parsed = parseSource(word, index + 1)
    if (typeof parsed === 'string') problems.push(parsed)
    else if (sources.some(({ name }) => name === parsed.name)) problems.push(`names ${parsed.name} twice`)
    else sources.push(parsed)
  })
  if (sources.length > MOST) problems.push(`names more than ${MOST} sources`)
  return { sources, problems }
}

function parseSource(word: string, position: number): Source | string {
  const at = word.indexOf('@')
  const [name = '', given, ...more] = (at < 0 ? word : word.slice(0, at)).split(':')
  if (!ENVIRONMENT_NAME.test(name)) {
    return `has a source (number ${position}) whose name is not 1 to 32 of the characters a-z, 0-9 and -`
  }
  if (name === 'none') return 'names a source none, which means no source in the metrics'
  const implied = KINDS.find((kind) => kind === name)
  const kind = given === undefined ? implied : KINDS.find((each) => each === given)
  if (more.length > 0 || (given !== undefined && kind === undefined)) {
    return `has the source ${name} with a kind that is neither live nor sandbox`
  }
  if (kind === undefined)
    return `has the source ${name} without a kind: write ${name}:live or ${name}:sandbox`
  if (implied !== undefined && kind !== implied) {
    return `has the source ${name} with the kind ${kind}: choose another name`
  }
  const api = at < 0 ? API : originOf(word.slice(at + 1))
  if (api === undefined) {
    return `has the source ${name} with an address that is not just https://HOST, such as https://api-qat.idwise.com`
  }
  return { name, kind, api }
}

/** The address without a slash at its end; undefined if it has anything else, such as a path. */
function originOf(text: string): string | undefined {
  const url = URL.parse(text)
  return url?.protocol === 'https:' && url.href === `${url.origin}/` ? url.origin : undefined
}
