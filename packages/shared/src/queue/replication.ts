import { Command } from 'ioredis'
import { createAdd, type EncodedJob } from './bullmq/add.ts'
import type { RedisClient } from './connection.ts'

const WAIT_MS = 400

/**
 * Adds jobs, and has as many replicas confirm them as `acks` says. WAIT goes right behind each run of the script, so that
 * both take one round trip; in the script it would not wait. Since it waits for all that the master had written by then,
 * a job that another ingest has just made counts only once the replicas have that one.
 *
 * @returns a function that resolves as `createAdd` does. It may be called on one connection only when its last call has
 *   settled, where acks are asked for
 */
export function createConfirmedAdd(
  prefix: string,
): (client: RedisClient, acks: number, jobs: readonly EncodedJob[]) => Promise<number[]> {
  let current: RedisClient | undefined
  let acks = 0
  let confirmation: Promise<unknown> = Promise.resolve(0)
  const behindEach = {
    sendCommand(command: Command) {
      const sent = (current as RedisClient).sendCommand(command)
      if (acks > 0) {
        confirmation = (current as RedisClient).sendCommand(
          new Command('wait', [acks, WAIT_MS]),
        ) as Promise<unknown>
        confirmation.catch(() => {})
      }
      return sent
    },
  }
  const add = createAdd(behindEach as unknown as RedisClient, prefix)
  return async (client, wanted, jobs) => {
    current = client
    acks = wanted
    const collapsed = await add(jobs)
    if (wanted === 0) return collapsed
    // The last one: a script that Redis did not know is sent again.
    const replicas = Number(await confirmation)
    if (replicas < wanted)
      throw new Error(`${replicas} of ${wanted} replicas have confirmed within ${WAIT_MS} ms`)
    return collapsed
  }
}
