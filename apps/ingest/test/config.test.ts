import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readIngestConfig } from '../src/config.ts'

const GOOD = {
  DATABASE_URL: 'postgres://sluice:secret@127.0.0.1/sluice',
  IDWISE_LIVE_CREDENTIALS: 'bearer:a-token-that-is-long-enough',
  IDWISE_SANDBOX_CREDENTIALS: 'basic:user:a-password-%3A-with-colon',
}

function problems(env: Record<string, string>): string {
  try {
    readIngestConfig(env)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

describe('the settings of the ingest', () => {
  it('open only the webhooks to other machines', () => {
    const config = readIngestConfig({ ...GOOD, LISTEN_HOST: '0.0.0.0' })
    expect([config.host, config.probesHost]).toEqual(['0.0.0.0', '127.0.0.1'])
  })

  it('are complete with a database and credentials', () => {
    expect(readIngestConfig(GOOD)).toMatchObject({
      host: '127.0.0.1',
      port: 3000,
      queue: undefined,
      credentials: { sandbox: [{ kind: 'basic', user: 'user', password: 'a-password-:-with-colon' }] },
    })
  })

  it('are all named at once if they are missing or wrong, and no secret is shown', () => {
    const text = problems({
      INGEST_PORT: '99999',
      REDIS_URL: 'http://a-secret-to-look-for@x',
      IDWISE_LIVE_CREDENTIALS: 'bearer:short basic:onlyuser-a-secret-to-look-for what-a-secret-to-look-for',
      TRUSTED_PROXIES: '1',
      IDWISE_ALLOWED_IPS: '10.0.0.0/33',
      QUEUE_SHARDS: '0',
      LOG_LEVEL: 'loud',
      SHUTDOWN_DELAY_SECONDS: '-1',
    })
    for (const name of [
      'DATABASE_URL is not set',
      'IDWISE_SANDBOX_CREDENTIALS is not set',
      'INGEST_PORT',
      'REDIS_URL',
      'credential 1',
      'credential 2',
      'credential 3',
      'TRUSTED_PROXIES',
      'IDWISE_ALLOWED_IPS',
      'QUEUE_SHARDS',
      'LOG_LEVEL',
      'SHUTDOWN_DELAY_SECONDS',
    ]) {
      expect(text).toContain(name)
    }
    expect(text).not.toContain('to-look-for')
  })

  it.each([
    'redis://:x@127.0.0.1:99999',
    'redis://:a%ZZ@127.0.0.1:6379',
    'redis://127.0.0.1/name',
    'redis+sentinel://:a%ZZ@127.0.0.1:26379/main',
    'redis+sentinel://a:26379,b:notaport/main',
    'redis+cluster://a:notaport',
    'redis+cluster://a,,b',
    'redis+cluster://a:7000/1',
    'redis://a:1,b:2',
    'redis+sentinel://a:26379/main?passwort=x',
  ])('refuse what is no address of a Redis: %s', (url) => {
    expect(problems({ ...GOOD, REDIS_URL: url })).toMatch(/REDIS_URL (has|is not|names|knows)/)
  })

  it.each([
    'redis://127.0.0.1',
    'rediss://user:p%40ss@redis.example:6380/3?family=6',
    'redis+sentinel://:secret@a:26379,b:26379/main/1',
    'redis+sentinel://a,[::1]:26379/main',
    'redis+cluster://a:7000,b:7001',
    'rediss+cluster://user:p%40ss@a:7000,[::1]:7001',
    'rediss+sentinel://:secret@a:26379/main/1?sentinelUsername=watch&sentinelPassword=p%3Ass',
  ])('take the address of a Redis: %s', (url) => {
    expect(readIngestConfig({ ...GOOD, REDIS_URL: url }).queue?.url).toBe(url)
  })

  it.each([
    ['empty', ' '],
    ['with none and another', 'none bearer:a-token-that-is-long-enough'],
    ['with a secret of 15 characters', 'bearer:123456789012345'],
    ['with a header that HTTP itself sets', 'header:Content-Length:a-value-that-is-long-enough'],
    ['with a header name that is none', 'header:a%20b:a-value-that-is-long-enough'],
    ['with a broken percent', 'bearer:a-token-that-is-long-enough%'],
    ['with a blank at its end', 'bearer:a-token-that-is-long-enough%20'],
    ['in a header that comes as a list', 'header:Set-Cookie:a-value-that-is-long-enough'],
    ['of an unknown kind', 'hmac:a-key-that-is-long-enough'],
  ])('refuse credentials %s', (_name, credentials) => {
    expect(problems({ ...GOOD, IDWISE_LIVE_CREDENTIALS: credentials })).toContain('IDWISE_LIVE_CREDENTIALS')
  })

  it('come from files too, but not from both', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'sluice-')), 'credentials')
    writeFileSync(file, 'bearer:from-a-file-long-enough\n bearer:and-another-long-enough\n')
    const { IDWISE_LIVE_CREDENTIALS: _, ...others } = GOOD

    expect(readIngestConfig({ ...others, IDWISE_LIVE_CREDENTIALS_FILE: file }).credentials.live).toHaveLength(
      2,
    )
    expect(problems({ ...GOOD, IDWISE_LIVE_CREDENTIALS_FILE: file })).toContain(
      'IDWISE_LIVE_CREDENTIALS_FILE',
    )
    expect(problems({ ...others, IDWISE_LIVE_CREDENTIALS_FILE: `${file}.away` })).toContain('ENOENT')
  })

  it('have credentials and addresses for each source, and the address of its region', () => {
    const config = readIngestConfig({
      ...GOOD,
      IDWISE_SOURCES: ' live  uae-live:live\n qat-test:sandbox@https://api-qat.idwise.com/ ',
      IDWISE_UAE_LIVE_CREDENTIALS: 'bearer:a-token-of-the-emirates',
      IDWISE_QAT_TEST_CREDENTIALS: 'bearer:a-token-of-qatar-1',
      IDWISE_ALLOWED_IPS: '192.0.2.0/24',
      IDWISE_QAT_TEST_ALLOWED_IPS: '203.0.113.0/24',
    })
    expect(config.sources).toEqual([
      { name: 'live', kind: 'live', api: 'https://api.idwise.com' },
      { name: 'uae-live', kind: 'live', api: 'https://api.idwise.com' },
      { name: 'qat-test', kind: 'sandbox', api: 'https://api-qat.idwise.com' },
    ])
    expect(Object.keys(config.credentials)).toEqual(['live', 'uae-live', 'qat-test'])
    expect(config.allowedIps).toEqual({
      live: ['192.0.2.0/24'],
      'uae-live': ['192.0.2.0/24'],
      'qat-test': ['203.0.113.0/24'],
    })
  })

  it.each([
    ['live Uae:live', 'has a source (number 2) whose name is not 1 to 32'],
    ['live uae_live:live', 'has a source (number 2) whose name is not 1 to 32'],
    [`live ${'a'.repeat(33)}:live`, 'has a source (number 2) whose name is not 1 to 32'],
    ['live :live', 'has a source (number 2) whose name is not 1 to 32'],
    ['live none:live', 'names a source none'],
    ['live sandbox live', 'names live twice'],
    ['live uae', 'has the source uae without a kind: write uae:live or uae:sandbox'],
    ['live uae:production', 'has the source uae with a kind that is neither live nor sandbox'],
    ['live uae:live:live', 'has the source uae with a kind that is neither live nor sandbox'],
    ['live:sandbox', 'has the source live with the kind sandbox: choose another name'],
    ['live uae:live@http://api-uae.idwise.com', 'an address that is not just https://HOST'],
    ['live uae:live@api-uae.idwise.com', 'an address that is not just https://HOST'],
    ['live uae:live@https://key:secret-to-look-for@api-uae.idwise.com', 'is not just https://HOST'],
    ['live uae:live@https://api-uae.idwise.com/journey', 'an address that is not just https://HOST'],
    ['live uae:live@', 'an address that is not just https://HOST'],
    [Array.from({ length: 21 }, (_, n) => `s${n}:live`).join(' '), 'names more than 20 sources'],
  ])('refuse the sources %s', (sources, problem) => {
    const text = problems({ ...GOOD, IDWISE_SOURCES: sources })
    expect(text).toContain('IDWISE_SOURCES ')
    expect(text).toContain(problem)
    expect(text).not.toContain('to-look-for')
  })

  it('refuse a source without credentials, together with what else is wrong', () => {
    const text = problems({
      ...GOOD,
      IDWISE_SOURCES: 'live uae-live:live qat:what',
      IDWISE_LIVE_ALLOWED_IPS: '10.0.0.0/33',
    })
    expect(text.split('\n').slice(1)).toEqual([
      expect.stringMatching(/IDWISE_SOURCES has the source qat with a kind/),
      '  - IDWISE_UAE_LIVE_CREDENTIALS is not set',
      expect.stringMatching(/IDWISE_LIVE_ALLOWED_IPS is not a list of networks/),
    ])
  })
})
