/** What a name in a text looks like. It may be another one: IDWise documents no form of its ids. */
type NameForm = 'event id' | 'event key' | 'job' | 'journey' | 'reference number' | 'any'

/** `isLikely`: the text or the form says that it is a name. Any other word is a name only if something has it. */
export type NamedInText = { readonly name: string; readonly form: NameForm; readonly isLikely: boolean }

export type NamesInText = {
  readonly names: readonly NamedInText[]
  /** The text has more names than are read. */
  readonly isCut: boolean
}

const MOST_NAMES = 200
const MAX_NAME = 256

type Pattern = { readonly form: NameForm; readonly isLikely: boolean; readonly pattern: RegExp }

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}'
const WORD = `[^\\s"'“”‘’,;<>(){}\\[\\]]{1,${MAX_NAME}}`
const QUOTED = ['""', "''", '“”', '‘’', '``'].map(
  ([open, close]) => `${open}([^${close}\\n]{1,${MAX_NAME}})${close}`,
)
/** After a label: a quoted text, or one word. */
const VALUE = `(?:["'”*\`]{1,3}\\s{0,3}(?=[:=]))?\\s{0,5}(?:[:=#]|is\\b|№)?\\s{0,5}\\*{0,2}(?:${QUOTED.join('|')}|(${WORD}))`
const labelled = (label: string) => new RegExp(`(?<![A-Za-z])(?:${label})${VALUE}`, 'gi')
const whole = (form: string) => new RegExp(`(?<![\\w-])(?:${form})(?![\\w-])`, 'gi')

/**
 * The form of a name is the first one of these that finds it. The ids of IDWise's samples are UUIDs for events and 24
 * hex digits for journeys ("IDWise Webhook Types").
 */
const PATTERNS: readonly Pattern[] = [
  { form: 'job', isLikely: true, pattern: whole('e-[0-9a-f]{64}(?:-r\\d+)?') },
  { form: 'event key', isLikely: true, pattern: whole('[0-9a-f]{64}') },
  { form: 'event id', isLikely: true, pattern: labelled('event[\\s_-]?id') },
  { form: 'journey', isLikely: true, pattern: labelled('journey(?:[\\s_-]?id)?') },
  {
    form: 'reference number',
    isLikely: true,
    pattern: labelled('reference(?:[\\s_-]?(?:number|no\\b\\.?|id))?|ref(?:[\\s_]?no\\b)?\\.?'),
  },
  { form: 'event id', isLikely: true, pattern: whole(UUID) },
  { form: 'journey', isLikely: true, pattern: whole('[0-9a-f]{24}|[0-9a-f]{20}') },
  { form: 'reference number', isLikely: false, pattern: new RegExp(QUOTED.join('|'), 'g') },
  { form: 'any', isLikely: false, pattern: /(?<![\w.-]|\d:)[A-Za-z0-9][\w./#-]{3,63}(?![\w-])/g },
]

/** What else consists of letters and digits: times, addresses, measures, statuses. */
const NO_NAME =
  /^(?:\d{4}-\d\d-\d\d([T ].*)?|\d\d?:\d\d.*|\d{1,3}(\.\d{1,3}){3}|\d+(\.\d+)?(ms|s|m|h|kB|MB|%)?|https?|[45]\d\d)$/i

/**
 * Finds the ids and reference numbers in a text: a ticket, a log, JSON, an e-mail. At most 200, the likely ones first,
 * each group in the order of the text. Words are names only if they have a digit: "the journey was finished".
 */
export function namesIn(text: string): NamesInText {
  const found = new Map<string, NamedInText & { readonly at: number }>()
  for (const { form, isLikely, pattern } of PATTERNS) {
    for (const match of text.matchAll(pattern)) {
      const name = trimmed(match.slice(1).find((group) => group !== undefined) ?? match[0])
      const isName =
        isHash(form) || (name.length >= 3 && /\d/.test(name) && (isLikely || !NO_NAME.test(name)))
      if (isName && !found.has(name)) found.set(name, { name, form, isLikely, at: match.index })
    }
  }
  const inOrder = [...found.values()].sort((a, b) => Number(b.isLikely) - Number(a.isLikely) || a.at - b.at)
  return {
    names: inOrder.slice(0, MOST_NAMES).map(({ at: _, ...named }) => named),
    isCut: inOrder.length > MOST_NAMES,
  }
}

const isHash = (form: NameForm) => form === 'job' || form === 'event key'

/** Without the marks around a word. */
function trimmed(name: string): string {
  return name
    .trim()
    .replace(/[.,;:!?)\]}>*]+$/, '')
    .replace(/^[<([{*]+/, '')
}
