import type { Redis } from 'ioredis'
import { allCommandsOn } from './bullmq/commands.ts'
import { queueKeys } from './bullmq/keys.ts'
import { connected } from './nodes.ts'

/**
 * The commands of the queue that this user may not run on its keys. Redis 7.0 does not say which command stopped a
 * script, so each one is queued for a transaction, for which Redis checks the rights, and the transaction is discarded.
 *
 * @param client of this user; the transaction runs on a copy of it
 * @param prefix of a shard
 */
export async function missingRights(client: Redis, prefix: string): Promise<string[]> {
  const copy = client.duplicate()
  copy.on('error', () => {})
  try {
    await connected(copy)
    return await deniedCommands(copy, queueKeys(prefix).job('rights'))
  } finally {
    copy.disconnect()
  }
}

async function deniedCommands(client: Redis, key: string): Promise<string[]> {
  await client.call('MULTI')
  const denied = await Promise.all(
    allCommandsOn(key).map(async ([command = '', ...args]) => {
      const error = await client.call(command, ...args).then(
        () => undefined,
        (reason: Error) => reason,
      )
      return error?.message.startsWith('NOPERM') ? [command] : []
    }),
  )
  await client.call('DISCARD')
  return denied.flat()
}
