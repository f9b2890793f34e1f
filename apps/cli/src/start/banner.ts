import { randomUUID } from 'node:crypto'
import type { IngestConfig } from '@sluice/ingest'
import type { Credential } from '@sluice/shared/idwise'
import type { OpenedStore } from './open-stores.ts'

/** What a person needs after a start: where to post, a line to paste, where the event can be found. */
export function banner(started: {
  config: IngestConfig
  port: number
  postgres: OpenedStore
  redis: OpenedStore | undefined
  left: string[]
}): string[] {
  const { config, port, postgres, redis, left } = started
  const host = config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host
  const base = `http://${host.includes(':') ? `[${host}]` : host}:${port}/webhooks/idwise`
  const eventId = randomUUID()
  const [credential] = config.credentials.live
  return [
    '',
    'Sluice is ready.',
    '',
    `  Post to    ${base}/live and ${base}/sandbox`,
    `  Queue      ${redis?.text ?? WITHOUT_REDIS}`,
    `  Database   ${postgres.text}`,
    '  Settings   .sluice/env (credentials of both environments, addresses of the stores)',
    ...left.map((line) => `\n  ! ${line}`),
    '',
    'Post an event:',
    '',
    `curl -sS ${base}/live ${credential ? curlOption(credential) : ''} -H 'Content-Type: application/json' -d '${example(eventId)}'`,
    '',
    'Find it:',
    '',
    `npx sluice event ${eventId}`,
    `(. .sluice/env; psql "$DATABASE_URL" -c "select kind, event_id, final_decision from events")`,
    '',
    'Ctrl-C stops it.',
  ]
}

const WITHOUT_REDIS =
  'the inbox in Postgres alone. For BullMQ on Redis install redis-server (or valkey-server), or set REDIS_URL'

function example(eventId: string): string {
  return JSON.stringify({
    event: 'Finished Journey',
    body: {
      eventId,
      journeyId: '6925c1e7a4b0f83d5e9172ac',
      referenceNo: 'CUST-0048213',
      systemDecision: 'Complete',
    },
  })
}

function curlOption(credential: Credential): string {
  switch (credential.kind) {
    case 'basic':
      return `-u ${quoted(`${credential.user}:${credential.password}`)}`
    case 'bearer':
      return `-H ${quoted(`Authorization: Bearer ${credential.token}`)}`
    case 'header':
      return `-H ${quoted(`${credential.name}: ${credential.value}`)}`
    case 'none':
      return ''
    default:
      return credential satisfies never
  }
}

/** For a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
