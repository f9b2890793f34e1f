import { UserError } from '../../runtime/index.ts'
import { sendMail } from './mail.ts'
import { type Letter, pagerDutyBody, signed, textOf } from './message.ts'

/** One way to tell people. Its address holds secrets: it is never logged. */
export type Channel = {
  readonly kind: 'slack' | 'mail' | 'pagerduty' | 'webhook'
  /** @throws if the channel did not take the message */
  send(message: Letter, stop: AbortSignal): Promise<void>
}

const FORMS =
  'slack:URL, mailto:ADDRESS?via=smtps://USER:PASSWORD@HOST, pagerduty:KEY or webhook:URL?secret=SECRET'
const PAGERDUTY = 'https://events.pagerduty.com'

/**
 * Reads a list of channels that are separated by white space.
 *
 * @returns the channels and all problems. A problem names the position in the list, never the text.
 */
export function parseChannels(text: string): { channels: Channel[]; problems: string[] } {
  const channels: Channel[] = []
  const problems: string[] = []
  for (const [index, entry] of text.split(/\s+/).filter(Boolean).entries()) {
    try {
      channels.push(parseChannel(entry))
    } catch (error) {
      if (!(error instanceof UserError)) throw error
      problems.push(`has a wrong channel (number ${index + 1}): it ${error.message}`)
    }
  }
  return { channels, problems }
}

function parseChannel(entry: string): Channel {
  const [, kind, rest = ''] = /^([a-z]+):(.+)$/.exec(entry) ?? []
  switch (kind) {
    case 'slack':
      return slack(rest)
    case 'mailto':
      return mail(rest)
    case 'pagerduty':
      return pagerDuty(rest)
    case 'webhook':
      return webhook(rest)
    default:
      throw new UserError(`must be ${FORMS}`)
  }
}

function slack(text: string): Channel {
  const url = checkUrl(text)
  return {
    kind: 'slack',
    send: (message, stop) => post(url, JSON.stringify({ text: forSlack(textOf(message)) }), stop),
  }
}

/** A text of a sender must not call a whole channel. */
const forSlack = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function pagerDuty(text: string): Channel {
  const [key = '', via] = text.split('?via=')
  if (!/^[A-Za-z0-9]{16,64}$/.test(key)) throw new UserError('needs the integration key: pagerduty:KEY')
  const url = new URL('/v2/enqueue', checkUrl(via ?? PAGERDUTY))
  return {
    kind: 'pagerduty',
    send: (message, stop) => post(url, JSON.stringify(pagerDutyBody(message, key)), stop),
  }
}

function webhook(text: string): Channel {
  const url = checkUrl(text)
  // A plus sign of Base64 is read as a blank.
  const secret = url.searchParams.get('secret')?.replaceAll(' ', '+') ?? ''
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  if (key.length < 16) throw new UserError('needs ?secret= with 16 bytes or more in Base64')
  url.searchParams.delete('secret')
  return {
    kind: 'webhook',
    async send(message, stop) {
      const { body, headers } = signed(message, key)
      await post(url, body, stop, headers)
    },
  }
}

function mail(text: string): Channel {
  const [to = '', via = ''] = text.split('?via=')
  if (!/^[^\s@?]+@[^\s@?]+$/.test(to)) throw new UserError('needs an address: mailto:ops@example.com?via=…')
  const server = URL.parse(via)
  if (!server || !/^smtps?:$/.test(server.protocol) || !server.hostname) {
    throw new UserError('needs a mail server: ?via=smtps://USER:PASSWORD@HOST')
  }
  return {
    kind: 'mail',
    send: (message, stop) => sendMail({ to, server, isLocal: isLoopback(server) }, message, stop),
  }
}

/** What is wrong with an address, in words that do not show it. */
export function problemOfUrl(text: string): string | undefined {
  const url = URL.parse(text)
  if (!url) return 'is not a URL'
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))) return undefined
  return 'must begin with https:// (http:// only for this machine)'
}

function checkUrl(text: string): URL {
  const problem = problemOfUrl(text)
  if (problem) throw new UserError(`has an address that ${problem}`)
  return new URL(text)
}

const isLoopback = ({ hostname }: URL) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)

async function post(
  url: URL,
  body: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
): Promise<void> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
    // Somebody else's answer must not send a secret elsewhere.
    redirect: 'error',
    signal,
  })
  await answer.body?.cancel()
  if (!answer.ok) throw new Error(`answered ${answer.status}`)
}
