import { randomUUID } from 'node:crypto'
import type { IngestConfig } from '@sluice/ingest'
import { shellWord } from '@sluice/shared/operations'
import { type Credential, namesOf } from '@sluice/shared/runtime'
import type { OpenedStore } from './open-stores.ts'

/** The lines that a person needs after a start: where to post, an example to paste, and how to find its event. */
export function banner(started: {
  config: IngestConfig
  port: number
  consoleUrl: string
  /** User and secret of the operator that Sluice has made up. */
  operator?: string[] | undefined
  postgres: OpenedStore
  redis: OpenedStore | undefined
  left: string[]
  /** Only if the output is a terminal and Sluice generated the credential. Any other output may be stored somewhere. */
  showSecret?: boolean
  isTerminal?: boolean
}): string[] {
  const { config, port, postgres, redis, left, showSecret, consoleUrl, operator } = started
  const base = `http://${hostIn(config.host)}:${port}/webhooks/idwise`
  const eventId = randomUUID()
  const names = namesOf(config.sources)
  const [first] = names as [string]
  const option = curlOption(config.credentials[first]?.[0], showSecret)
  return [
    '',
    'Sluice is ready.',
    '',
    `  Post to    ${names.map((name) => `${base}/${name}`).join(' and ')}`,
    `  Console    ${consoleUrl}${operator ? `   ${signInHint(operator, started.isTerminal)}` : ''}`,
    `  Queue      ${redis?.text ?? WITHOUT_REDIS}`,
    `  Database   ${postgres.text}`,
    '  Settings   .sluice/env (credentials of all sources, addresses of the stores)',
    ...left.flatMap((line) => ['', `  ! ${line}`]),
    '',
    `Post an event${option.startsWith('-K') ? ' (with the credential in .sluice/curl)' : ''}:`,
    '',
    `curl -sS ${base}/${first} ${option} -H 'Content-Type: application/json' -d '${example(eventId)}'`,
    '',
    'Find it:',
    '',
    `npx sluice event ${eventId}`,
    `(. .sluice/env; psql "$DATABASE_URL" -c "select kind, event_id, final_decision from events")`,
    '',
    'Ctrl-C stops it.',
  ]
}

/** The host of a URL that leads to a server on this machine. */
export function hostIn(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}

function signInHint([user, secret]: readonly string[], isTerminal = false): string {
  return isTerminal ? `(user ${user}, secret ${secret})` : '(its user and secret are in .sluice/env)'
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

function curlOption(credential: Credential | undefined, showSecret = false): string {
  const option = credential && optionOf(credential)
  if (!option) return ''
  return showSecret ? `${option.short} ${shellWord(option.value)}` : '-K .sluice/curl'
}

/** The contents of `.sluice/curl`, from which `curl -K` reads the credential. */
export function curlConfig(credential: Credential | undefined): string {
  const option = credential && optionOf(credential)
  return option ? `${option.name} = "${option.value.replace(/["\\]/g, '\\$&')}"\n` : ''
}

function optionOf(credential: Credential): { name: string; short: string; value: string } | undefined {
  switch (credential.kind) {
    case 'basic':
      return { name: 'user', short: '-u', value: `${credential.user}:${credential.password}` }
    case 'bearer':
      return { name: 'header', short: '-H', value: `Authorization: Bearer ${credential.token}` }
    case 'header':
      return { name: 'header', short: '-H', value: `${credential.name}: ${credential.value}` }
    case 'none':
      return undefined
    default:
      return credential satisfies never
  }
}
