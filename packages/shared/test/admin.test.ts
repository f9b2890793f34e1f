import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { createAdd } from '../src/queue/bullmq/add.ts'
import { createJobClaimer } from '../src/queue/bullmq/claim.ts'
import { createFinish } from '../src/queue/bullmq/finish.ts'
import { createQueueAdmin, FIELD, queueKeys, shardPrefix } from '../src/queue/index.ts'
import { createLog } from '../src/runtime/index.ts'
import { queueServerUrl } from './queue-server.ts'

test('bodies go from every shard that can be written, if another one fails, and the failure is reported', async () => {
  await using stack = new AsyncDisposableStack()
  const redis = stack.adopt(new Redis(queueServerUrl()), (opened) => opened.disconnect())
  const location = { url: queueServerUrl(), prefix: randomUUID(), shards: 3 }
  const prefixes = [0, 1, 2].map((shard) => shardPrefix(location.prefix, shard))
  for (const prefix of prefixes) {
    await createAdd(redis, prefix)([{ jobId: 'e-1', name: 'a', data: '{"n":1}' }])
    await createJobClaimer(redis, prefix).claim('token', 1)
    await createFinish(redis, prefix)('token', [{ id: 'e-1', attempts: 1 }])
  }
  const keys = prefixes.map((prefix) => queueKeys(prefix))
  await redis.lpush(keys[1]?.stripped ?? '', 'no string')
  const admin = stack.use(createQueueAdmin(location, createLog('test', 'silent')))
  await admin.ready(3_000)

  await expect(admin.stripBodies(0)).rejects.toThrow('WRONGTYPE')

  const bodies = await Promise.all(keys.map(({ job }) => redis.hget(job('e-1'), FIELD.data)))
  expect(bodies).toEqual(['{}', '{"n":1}', '{}'])
})
