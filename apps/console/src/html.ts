/** A string that is HTML already. Only `html` makes one; whatever else is interpolated is escaped. */
class Html {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  toString(): string {
    return this.#text
  }
}

export type { Html }

/** What may stand in a template. `null`, `undefined` and `false` stand for nothing. */
export type Part = Html | string | number | bigint | null | undefined | false | readonly Part[]

/** Makes HTML of a template. Attributes must be quoted: the values are escaped for text and for quoted attributes. */
export function html(literals: TemplateStringsArray, ...parts: readonly Part[]): Html {
  let text = literals[0] as string
  for (const [index, part] of parts.entries()) text += render(part) + literals[index + 1]
  return new Html(text)
}

function render(part: Part): string {
  if (part === null || part === undefined || part === false) return ''
  if (part instanceof Html) return part.toString()
  if (typeof part === 'object') return part.map(render).join('')
  return escapeText(String(part))
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
}

function escapeText(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => ENTITIES[character] as string)
}
