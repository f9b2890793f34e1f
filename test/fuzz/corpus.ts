import { readdirSync, readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const TOKEN = 'live-token-of-the-fuzzer'
const KEY = 'a-key-in-a-header-of-its-own'
const SANDBOX_TOKEN = 'sandbox-token-of-the-fuzzer'
const BASIC = Buffer.from('fuzzer:password of the fuzzer').toString('base64')

/** The secrets of the ingest. A request without any of them must be refused. */
export const SECRETS = [TOKEN, KEY, SANDBOX_TOKEN, BASIC]

/** The settings of the ingest that is fuzzed. */
export const CREDENTIALS = {
  IDWISE_LIVE_CREDENTIALS: `bearer:${TOKEN} header:x-idwise-key:${KEY} basic:fuzzer:password%20of%20the%20fuzzer`,
  IDWISE_SANDBOX_CREDENTIALS: `bearer:${SANDBOX_TOKEN}`,
}

export const LIVE = '/webhooks/idwise/live'
export const GOOD_HEADERS = { authorization: `Bearer ${TOKEN}` }
const LIMIT = 256 * 1024

/**
 * Whole requests to start from. Those of strangers have no secret, valid ones are answered 200, large ones are rare.
 */
export type Corpus = { welcome: string[]; valid: string[]; strangers: string[]; large: string[] }

export function createCorpus(): Corpus {
  const heads = (auth: string) => [
    ...HEADERS.map((header) => [`POST ${LIVE} HTTP/1.1`, 'Host: x', auth, header]),
    ...REQUESTS.map((line) => [line, 'Host: x', auth]),
    [`POST ${LIVE} HTTP/1.1`, auth],
    ['PRI * HTTP/2.0', auth],
  ]
  const made = (auths: readonly string[]) =>
    auths.flatMap((auth, nth) => [
      ...heads(auth).map((head, index) => request(head, pick(BODIES, index + nth))),
      ...BODIES.map((body) => request([`POST ${LIVE} HTTP/1.1`, 'Host: x', auth], body)),
      ...FRAMINGS.map(([headers, body]) => raw([`POST ${LIVE} HTTP/1.1`, 'Host: x', auth, headers], body)),
      smuggling(auth),
    ])
  return {
    welcome: [
      ...made(WELCOME),
      request(
        ['POST /webhooks/idwise/sandbox HTTP/1.1', 'Host: x', `Authorization: Bearer ${SANDBOX_TOKEN}`],
        '{}',
      ),
    ],
    valid: WELCOME.slice(0, 4).flatMap((auth) =>
      BODIES.map((body) => request([`POST ${LIVE} HTTP/1.1`, 'Host: x', auth], body)),
    ),
    strangers: [...made(STRANGERS), ...NO_HTTP],
    large: [LIMIT - 1, LIMIT, LIMIT + 1].map((size) =>
      request([`POST ${LIVE} HTTP/1.1`, 'Host: x', WELCOME[0] as string], 'x'.repeat(size)),
    ),
  }
}

const WELCOME = [
  `Authorization: Bearer ${TOKEN}`,
  `authorization: bEaReR   ${TOKEN}`,
  `Authorization: Basic ${BASIC}`,
  `X-IDWise-Key: ${KEY}`,
  // On the wrong path, twice, and together with another one.
  `Authorization: Bearer ${SANDBOX_TOKEN}`,
  `Authorization: Bearer ${TOKEN}\r\nAuthorization: Bearer ${TOKEN}`,
  `Authorization: Bearer something-else\r\nX-IDWise-Key: ${KEY}`,
]

const STRANGERS = [
  'X-Nothing: x',
  'Authorization:',
  'Authorization: Bearer',
  'Authorization: Bearer live-token-of-the-stranger',
  `Authorization: Bearer ${'x'.repeat(5_000)}`,
  `Authorization: Basic ${Buffer.from('fuzzer').toString('base64')}`,
  `Authorization: Basic ${Buffer.from('fuzzer:not this password').toString('base64')}`,
  'X-IDWise-Key: ',
  'X-IDWise-Key: another-key-in-a-header',
]

const REQUESTS = [
  'POST /webhooks/idwise/sandbox HTTP/1.1',
  ...['GET', 'HEAD', 'PUT', 'OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND', 'post'].map(
    (method) => `${method} ${LIVE} HTTP/1.1`,
  ),
  ...['1.0', '0.9', '1.2', '2.0'].map((version) => `POST ${LIVE} HTTP/${version}`),
  ...['/livez', '/readyz', '/metrics', '/', '*', '/%', '//webhooks/idwise/live'].map(
    (path) => `POST ${path} HTTP/1.1`,
  ),
  `POST http://x${LIVE} HTTP/1.1`,
  `POST ${LIVE}?a=${'b'.repeat(9_000)} HTTP/1.1`,
  `POST ${LIVE}%00 HTTP/1.1`,
]

export const HEADERS = [
  'Content-Type: application/json',
  'Content-Type: ',
  'Content-Type: application/json\t; charset=x',
  'Content-Type: multipart/form-data',
  'Content-Encoding: gzip',
  'Expect: 100-continue',
  'Expect: 200-maybe',
  'Connection: close',
  'Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding: \x0bchunked',
  'TE: trailers\r\nTrailer: Authorization',
  'X-Forwarded-For: 127.0.0.1, [::1]:80',
  'X-HTTP-Method-Override: GET',
  'Range: bytes=0-1',
  'Host: y',
  'X-Folded: a\r\n b: c',
  'X-NUL: a\0b',
  `X-Long: ${'x'.repeat(20_000)}`,
  Array.from({ length: 150 }, (_, index) => `X-${index}: y`).join('\r\n'),
  'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  '__proto__: x\r\nconstructor: y',
]

const BODIES = [
  ...samples(),
  '',
  '{}',
  'null',
  '[]{}',
  '{"event":"Finished',
  '{"event":"Finished Journey","body":{"eventId":98765432109876543210}}',
  '{"event":"Finished Journey","body":{"eventId":"a\\u0000\\ud800"}}',
  '{"event":"Finished Journey","body":"{\\"eventId\\":\\"inner\\"}"}',
  '{"__proto__":{"event":"x"},"constructor":{"prototype":1}}',
  `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
  `{"event":"x","body":{"eventId":1e400,"n":${'9'.repeat(2_000)}}}`,
  Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join(''),
  gzipSync('{"event":"Finished Journey","body":{"eventId":"packed"}}').toString('latin1'),
  `GET ${LIVE} HTTP/1.1\r\nHost: x\r\n\r\n`,
]

/** Headers and bodies whose lengths contradict each other. */
const FRAMINGS = [
  ['Content-Length: 2\r\nTransfer-Encoding: chunked', '2\r\n{}\r\n0\r\n\r\n'],
  ['Content-Length: 2\r\nContent-Length: 3', '{} '],
  ['Content-Length: 2, 2', '{}'],
  ['Content-Length: -2', '{}'],
  ['Content-Length: +2', '{}'],
  ['Content-Length: 0x2', '{}'],
  ['Content-Length: 99999999999999999999', '{}'],
  ['Content-Length: 10', '{}'],
  ['Content-Length: 1', '{}'],
  ['Transfer-Encoding: chunked', '2\r\n{}\r\n0\r\n\r\n'],
  ['Transfer-Encoding: chunked', '1;a="b"\r\n{\r\n001\r\n}\r\n0\r\nX: y\r\n\r\n'],
  ['Transfer-Encoding: chunked', 'zz\r\n{}\r\n0\r\n\r\n'],
  ['Transfer-Encoding: chunked', '-1\r\n{}\r\n0\r\n\r\n'],
  ['Transfer-Encoding: chunked', 'ffffffffffffffff1\r\n{}\r\n0\r\n\r\n'],
  ['Transfer-Encoding: chunked', `2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`],
  ['Transfer-Encoding: chunked', '2\r\n{}'],
  ['Transfer-Encoding: chunked', '2\n{}\n0\n\n'],
  ['Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '2\r\n{}\r\n0\r\n\r\n'],
] as const

const NO_HTTP = [
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n\r\n',
  '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03',
  'GET /\r\n',
  '\r\n\r\n\r\n',
]

/** A second request inside the body of the first, behind lengths that disagree. */
function smuggling(auth: string): string {
  const inner = request([`POST ${LIVE} HTTP/1.1`, 'Host: x', auth], '{"smuggled":true}')
  return raw(
    [`POST ${LIVE} HTTP/1.1`, 'Host: x', 'Content-Length: 5', 'Transfer-Encoding: chunked'],
    `0\r\n\r\n${inner}`,
  )
}

/** Latin-1 text: a character for each byte. */
function request(head: readonly string[], body: string): string {
  return raw([...head, `Content-Length: ${body.length}`], body)
}

function raw(head: readonly string[], body: string): string {
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

function samples(): string[] {
  const folder = new URL('../../packages/shared/samples/', import.meta.url)
  return readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'latin1'))
}

function pick<T>(list: readonly T[], index: number): T {
  return list[index % list.length] as T
}
