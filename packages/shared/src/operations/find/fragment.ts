import { toJsonb } from '../../db/index.ts'
import { type ExactJson, MAX_TEXT, parseEvent, parseExact, storedId, writeExact } from '../../idwise/index.ts'

/**
 * A part of a body that is looked for. Ids and columns are read out of it, since these have indexes or are cheap to
 * compare; `body` is what is left, as it may stand in the document.
 */
export type Fragment = {
  readonly eventId?: string
  readonly journeyId?: string
  readonly referenceNo?: string
  readonly kind?: string
  readonly event?: string
  readonly systemDecision?: string
  readonly manualDecision?: string
  readonly finalDecision?: string
  readonly body?: readonly string[]
}

type Member = Extract<ExactJson, { kind: 'object' }>['members'][number]

const IDS: readonly string[] = ['eventId', 'journeyId', 'referenceNo']
const DECISIONS: readonly string[] = ['systemDecision', 'manualDecision', 'finalDecision']

/**
 * Reads a fragment: of a whole document, with `event` or `body`, or of its `body`.
 *
 * @returns undefined if the text is no JSON object
 */
export function readFragment(text: string): Fragment | undefined {
  const json = parseExact(text)
  if (json?.kind !== 'object') return undefined
  const read: Record<string, string> = {}
  const isTaken = ({ key, value }: Member): boolean => {
    const given = textOf(value)
    if (given === undefined || key in read) return false
    if (IDS.includes(key)) read[key] = storedId(given)
    else if (DECISIONS.includes(key) && given.length <= MAX_TEXT) read[key] = given
    else return false
    return true
  }
  const isName = ({ key, value }: Member): boolean => {
    const name = key === 'event' ? textOf(value) : undefined
    if (name === undefined) return false
    Object.assign(read, ofName(name))
    return true
  }
  const outer = json.members.filter((member) => !isName(member))
  const body = outer.find(({ key }) => key === 'body')?.value
  if (body?.kind === 'object') {
    const inner = body.members.filter((member) => !isTaken(member))
    const rest = outer.filter(({ key }) => key !== 'body')
    if (inner.length + rest.length === 0) return read
    const left = inner.length > 0 ? [...rest, memberOf('body', inner)] : rest
    return { ...read, body: [written(left)] }
  }
  const left = outer.filter((member) => !isTaken(member))
  if (left.length === 0) return read
  return { ...read, body: [written(left), written([memberOf('body', left)])] }
}

function ofName(name: string): Pick<Fragment, 'kind' | 'event'> {
  const { kind } = parseEvent(JSON.stringify({ event: name, body: {} }))
  return kind === 'unrecognised' ? { event: name } : { kind }
}

/** A text, or a number as it was written. */
function textOf(value: ExactJson): string | undefined {
  if (value.kind !== 'scalar' || /^(?:null|true|false)$/.test(value.text)) return undefined
  return value.text.startsWith('"') ? JSON.parse(value.text) : value.text
}

function memberOf(key: string, members: readonly Member[]): Member {
  return { key, keyText: JSON.stringify(key), value: { kind: 'object', members } }
}

const written = (members: readonly Member[]) => toJsonb(writeExact({ kind: 'object', members }))
