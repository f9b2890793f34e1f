import { randomUUID } from 'node:crypto'
import { createAdd } from './bullmq/add.ts'
import { createJobClaimer } from './bullmq/claim.ts'
import { ALL_IN_ONE_SCRIPT, KEY_TYPES } from './bullmq/commands.ts'
import { createFinish } from './bullmq/finish.ts'
import { queueKeys } from './bullmq/keys.ts'
import { createScript } from './bullmq/script.ts'
import type { RedisClient } from './connection.ts'

const JOB = 'e-probe'
const TOKEN = 'probe'

const runAllCommands = createScript<null>(ALL_IN_ONE_SCRIPT, KEY_TYPES.length)

/**
 * Checks that an event which is added here can be claimed and completed. It sends one job through the scripts that add,
 * claim and finish, in a queue for this purpose among the shard's keys, then runs every other command of the queue. It
 * leaves nothing.
 *
 * @param client of either kind
 * @param prefix of the shard; see `shardPrefix`
 * @throws the error that Redis refuses it with: NOPERM, READONLY, OOM, NOREPLICAS, MISCONF …
 */
export async function tryQueue(client: RedisClient, prefix: string): Promise<void> {
  const queueName = `${queueKeys(prefix).name}:probe-${randomUUID()}`
  const keys = queueKeys(prefix, queueName)
  const refusals: Error[] = []
  const claimer = createJobClaimer(client, prefix, { queueName, onRefused: (error) => refusals.push(error) })
  const finish = createFinish(client, prefix, { queueName })
  try {
    await createAdd(client, prefix, queueName)([{ jobId: JOB, name: 'probe', data: '{}' }])
    await client.bzpopmin(keys.marker, 1)
    const claimed = await claimer.claim(TOKEN, 1)
    if (refusals[0]) throw refusals[0]
    if (claimed.length === 0) throw new Error('a job that was added could not be fetched')
    const lost = await finish(TOKEN, [{ id: JOB, attempts: 1 }])
    if (lost.length > 0) throw new Error('a job that was fetched could not be completed')
    await runAllCommands(client, KEY_TYPES.map(keys.job))
  } finally {
    const { wait, active, meta, marker, completed, stalled, missing } = keys
    const left = [wait, active, meta, marker, completed, stalled, missing, keys.job(JOB), keys.lock(JOB)]
    await client.del(...left, ...KEY_TYPES.map(keys.job)).catch(() => {})
  }
}
