import { queueKeys } from './bullmq/keys.ts'
import type { RedisClient } from './connection.ts'

/**
 * What schedulers tell each other in Redis while Postgres is away: that people were told of it, and since when. There
 * is one note for the whole installation.
 */
export type ToldNote = {
  /** Whether this process is to tell it. Another one may, if it has not noted within this time that it did. */
  claim(ms: number): Promise<boolean>
  note(since: Date): Promise<void>
  /** Since when; undefined if nobody was told. */
  read(): Promise<Date | undefined>
  forget(): Promise<void>
}

const CLAIMED = 'claimed'
const KEPT_MS = 7 * 86_400_000

/** @param prefix of a shard */
export function createToldNote(client: RedisClient, prefix: string): ToldNote {
  const { told } = queueKeys(prefix)
  return {
    claim: async (ms) => (await client.set(told, CLAIMED, 'PX', ms, 'NX')) === 'OK',
    note: async (since) => void (await client.set(told, since.toISOString(), 'PX', KEPT_MS)),
    async read() {
      const value = await client.get(told)
      return value === null || value === CLAIMED ? undefined : new Date(value)
    },
    forget: async () => void (await client.del(told)),
  }
}
