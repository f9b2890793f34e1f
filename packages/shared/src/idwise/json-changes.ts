import { type ExactJson, writeExact } from './exact-json.ts'

/** What differs at one place of two documents, as JSON text; null: there is nothing at this place. */
export type JsonChange = {
  /** Such as `body.requiredSteps[0].stepId`; empty for the whole document. */
  readonly path: string
  readonly before: string | null
  readonly after: string | null
}

/** More are not listed. */
const MOST = 200

/** The places at which two documents differ, in the order of the second one. Numbers are compared as they were sent. */
export function jsonChanges(before: ExactJson, after: ExactJson): { changes: JsonChange[]; isCut: boolean } {
  const changes: JsonChange[] = []
  compare(before, after, '', changes)
  return { changes: changes.slice(0, MOST), isCut: changes.length > MOST }
}

function compare(
  before: ExactJson | undefined,
  after: ExactJson | undefined,
  path: string,
  changes: JsonChange[],
): void {
  if (changes.length > MOST) return
  const [old, now] = [before && partsOf(before), after && partsOf(after)]
  if (!old || !now || before?.kind !== after?.kind) {
    const texts = { before: textOf(before), after: textOf(after) }
    if (texts.before !== texts.after) changes.push({ path, ...texts })
    return
  }
  for (const [step, value] of now) compare(old.get(step), value, join(path, step), changes)
  for (const [step, value] of old) if (!now.has(step)) compare(value, undefined, join(path, step), changes)
}

/** What an object or array consists of, by the steps of a path; undefined for a scalar. */
function partsOf(json: ExactJson): Map<string, ExactJson> | undefined {
  if (json.kind === 'scalar') return undefined
  if (json.kind === 'array') return new Map(json.items.map((item, index) => [`[${index}]`, item]))
  const parts = new Map<string, ExactJson>()
  const times = new Map<string, number>()
  for (const { key, value } of json.members) {
    const time = (times.get(key) ?? 0) + 1
    times.set(key, time)
    const step = /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
    parts.set(time === 1 ? step : `${step} (key ${time})`, value)
  }
  return parts
}

function join(path: string, step: string): string {
  return path === '' && step.startsWith('.') ? step.slice(1) : path + step
}

function textOf(json: ExactJson | undefined): string | null {
  return json ? writeExact(json) : null
}
