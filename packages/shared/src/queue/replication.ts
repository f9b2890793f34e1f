import { Command } from 'ioredis'
import { createAdd, type EncodedJob } from './bullmq/add.ts'
import type { RedisClient } from './connection.ts'

const WAIT_MS = 400

/**
 * Adds jobs, and waits until `acks` replicas have confirmed them. WAIT is sent directly after each run of the script,
 * so that both take one round trip; inside the script it would not wait. WAIT covers all earlier writes of the master,
 * so a job that another ingest has just added is confirmed as well.
 *
 * @returns a function that resolves as `createAdd` does. If `acks` is not 0, it must not be called again before its
 *   last call has settled
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
    const redelivered = await add(jobs)
    if (wanted === 0) return redelivered
    // That of the last run: a script that Redis did not know is sent again.
    const replicas = Number(await confirmation)
    if (replicas < wanted)
      throw new Error(`${replicas} of ${wanted} replicas have confirmed within ${WAIT_MS} ms`)
    return redelivered
  }
}
