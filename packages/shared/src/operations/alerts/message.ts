import { createHmac } from 'node:crypto'
import type { Installation } from '../../db/index.ts'

/** What is told: an incident, or that it is over. */
export type Message = {
  readonly kind: 'opened' | 'recovered'
  /** People were told of it before. */
  readonly isAgain: boolean
  /** The alert: a heading of docs/runbooks.md. */
  readonly name: string
  readonly severity: 'page' | 'notice'
  /** The same for all messages of one incident of this installation. */
  readonly key: string
  /** Plain sentences: what is, what it means, the first command, the page that says more. */
  readonly text: string
  readonly at: Date
}

/** A message with who sends it: undefined if nobody could find that out yet. */
export type Letter = Message & { readonly from: Installation | undefined }

const nameOf = ({ from }: Letter) => from && `${from.name} ${from.id}`

/** The same for all messages of one incident, so that a receiver can merge them. */
export const keyOf = ({ from, key }: Letter) => ['sluice', from?.id, key].filter(Boolean).join(' ')

const MARKS = { page: 'ALERT', notice: 'Notice' } as const

/** The first sentence, with what kind of message it is. */
export function titleOf(letter: Letter): string {
  const { kind, isAgain, severity, text } = letter
  const name = nameOf(letter)
  const [first = ''] = text.split('\n')
  const mark = isAgain ? `${MARKS[severity]} again` : MARKS[severity]
  return `Sluice ${kind === 'recovered' ? 'OK' : mark}${name ? ` (${name})` : ''}: ${first}`
}

export const textOf = (message: Letter) => [titleOf(message), ...message.text.split('\n').slice(1)].join('\n')

/** The body of PagerDuty's Events API v2. */
export function pagerDutyBody(message: Letter, key: string) {
  return {
    routing_key: key,
    event_action: message.kind === 'opened' ? 'trigger' : 'resolve',
    dedup_key: keyOf(message),
    payload: {
      summary: titleOf(message).slice(0, 1_024),
      source: nameOf(message) ?? 'sluice',
      severity: message.severity === 'page' ? 'critical' : 'warning',
      timestamp: message.at.toISOString(),
      component: message.name,
      custom_details: { text: message.text },
    },
  }
}

/** The body and the headers of Standard Webhooks. */
export function signed(message: Letter, key: Buffer, now = new Date()) {
  const body = JSON.stringify({
    type: `incident.${message.kind}`,
    timestamp: message.at.toISOString(),
    data: {
      name: message.name,
      severity: message.severity,
      key: keyOf(message),
      text: message.text,
      installation: message.from ?? null,
    },
  })
  // Each try of one message has the same id, so that a receiver takes it once.
  const id = `${keyOf(message)} ${message.kind} ${message.at.getTime()}`.replaceAll(/[^A-Za-z0-9_-]+/g, '_')
  const timestamp = String(Math.floor(now.getTime() / 1_000))
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return {
    body,
    headers: {
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`,
    },
  }
}
