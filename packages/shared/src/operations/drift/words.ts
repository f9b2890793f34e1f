import type { DriftRow } from '../../db/index.ts'
import type { DriftKind } from '../../idwise/index.ts'

type Named = Pick<DriftRow, 'kind' | 'path' | 'value'> & { readonly share?: number | null }

/** What is new, in a few words: `unknown value "Escalated" of body.systemDecision`. */
export function describeDrift({ kind, path, value, share }: Named): string {
  switch (kind) {
    case 'event':
      return `unknown event ${quoted(value)}`
    case 'field':
      return `unknown field ${path}`
    case 'value':
      return `unknown value ${quoted(value)} of ${path}`
    case 'type':
      return `${path} is ${value}`
    case 'encoding':
      return `unknown ${path} ${quoted(value)}`
    case 'unreadable':
      return `events that cannot be read${share ? `, ${percent(share)} of a day's` : ''}`
    default:
      return kind satisfies never
  }
}

const quoted = (value: string) => (value === '*' ? '(a text that is not kept)' : `"${value}"`)

function percent(share: number): string {
  return `${share < 0.1 ? (share * 100).toFixed(1) : Math.round(share * 100)} %`
}

const OF_AN_EVENT: readonly DriftKind[] = ['field', 'value', 'type']

/** The events that had it, in words; null if it is not about what an event has. */
export function eventsOf({ kind, events }: Pick<DriftRow, 'kind' | 'events'>): string | null {
  return OF_AN_EVENT.includes(kind) ? events.map((each) => each.replaceAll('_', ' ')).join(', ') : null
}
