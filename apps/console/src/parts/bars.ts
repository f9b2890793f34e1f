import { type Html, html } from '../html.ts'

export type Bar = {
  readonly value: number
  readonly title: string
  readonly colour?: 'bad' | 'wait' | undefined
}

const HEIGHT = 56
const STEP = 10

/** A bar for each value, drawn as SVG. `label` says in words what it shows, for those who do not see it. */
export function bars(
  values: readonly Bar[],
  { label, small = false }: { label: string; small?: boolean },
): Html {
  const most = Math.max(1, ...values.map(({ value }) => value))
  const drawn = values.map(({ value, title, colour }, index) => {
    const height = value === 0 ? 1 : Math.max(2, Math.round((value / most) * HEIGHT))
    return html`<rect class="${colour}" x="${index * STEP}" y="${HEIGHT - height}" width="${STEP - 2}" height="${height}"><title>${title}</title></rect>`
  })
  return html`<svg class="${small ? 'spark' : 'bars'}" viewBox="0 0 ${values.length * STEP} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${label}">${drawn}</svg>`
}
