import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis } from '@sluice/embedded'
import { program } from '@sluice/testkit/programs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRedisCheck, pingRedis } from '../src/queue/index.ts'
import { queueServerUrl, useQueueServer } from './queue-server.ts'

const binary = program('valkey-server')

describe.skipIf(!binary)('the queue on Valkey', async () => {
  const stack = new AsyncDisposableStack()
  beforeAll(async () => {
    const stateDir = await mkdtemp(join(tmpdir(), 'sluice-valkey-'))
    stack.defer(() => rm(stateDir, { recursive: true }))
    const server = await startRedis({
      stateDir,
      password: 'of-the-tests-only',
      binary: binary ?? '',
      ping: pingRedis,
      report: () => {},
    })
    stack.defer(() => server.stop(5_000))
    useQueueServer(server.url)
  })
  afterAll(() => stack.disposeAsync())

  it('passes the checks, as what it is', async () => {
    const found = await createRedisCheck({ url: queueServerUrl(), prefix: 'check', shards: 1 })()
    expect(found.filter(({ level }) => level !== 'ok')).toEqual([])
    expect(found.map(({ text }) => text).join()).toMatch(/Valkey \d+\.\d+/)
  })

  await import('./queue.test.ts')
})
