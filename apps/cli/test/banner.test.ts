import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readIngestConfig } from '@sluice/ingest'
import { makeRoot } from '@sluice/testkit/sandbox'
import { expect, it } from 'vitest'
import { banner, curlConfig } from '../src/start/banner.ts'

const TOKEN = 'a-token-of-this-test-with-"-and-\\-and-\''

function configOf(credential: string) {
  return readIngestConfig({
    DATABASE_URL: 'postgres://x/y',
    IDWISE_LIVE_CREDENTIALS: credential,
    IDWISE_SANDBOX_CREDENTIALS: 'bearer:another-token-of-this-test',
  })
}

function linesOf(credential: string, port: number, showSecret?: boolean): string[] {
  const postgres = { text: '' } as Parameters<typeof banner>[0]['postgres']
  const shown = showSecret === undefined ? {} : { showSecret }
  return banner({
    config: configOf(credential),
    port,
    consoleUrl: '',
    postgres,
    redis: undefined,
    left: [],
    ...shown,
  })
}

it('shows a credential only if it may, and otherwise names the file that has it', () => {
  const credential = `bearer:${encodeURIComponent(TOKEN)}`
  expect(linesOf(credential, 1).join('\n')).not.toContain('a-token-of-this-test')
  expect(linesOf(credential, 1).find((line) => line.startsWith('curl'))).toContain(' -K .sluice/curl ')
  expect(linesOf(credential, 1, true).join('\n')).toContain('a-token-of-this-test')
  expect(linesOf('none', 1).join('\n')).not.toContain('.sluice/curl')
})

it.skipIf(spawnSync('curl', ['--version']).status !== 0).each([
  ['bearer', `bearer:${encodeURIComponent(TOKEN)}`, 'authorization', `Bearer ${TOKEN}`],
  ['basic', `basic:us%20er:${encodeURIComponent(TOKEN)}`, 'authorization', `Basic ${btoa(`us er:${TOKEN}`)}`],
  ['a header', `header:x-key:${encodeURIComponent(TOKEN)}`, 'x-key', TOKEN],
])(
  'prints a line that presents %s when it is pasted in the clone',
  async (_kind, credential, name, value) => {
    const given: unknown[] = []
    const server = createServer((request, response) => {
      given.push(request.headers[name])
      response.end()
    }).listen(0, '127.0.0.1')
    try {
      const root = makeRoot()
      mkdirSync(join(root, '.sluice'))
      writeFileSync(join(root, '.sluice/curl'), curlConfig(configOf(credential).credentials.live?.[0]))
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      for (const showSecret of [false, true]) {
        const line = linesOf(credential, port, showSecret).find((text) => text.startsWith('curl')) as string
        await promisify(execFile)('/bin/sh', ['-c', line], { cwd: root })
      }
      expect(given).toEqual([value, value])
    } finally {
      server.close()
    }
  },
)
