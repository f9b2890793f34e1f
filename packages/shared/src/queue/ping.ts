import { mayFailOver, redisAddress } from '../runtime/redis-url.ts'
import { connectRedis, lastErrorOf, readyWithin } from './connection.ts'

const LIMIT_MS = 3_000

/** Resolves once the server at the URL answers and has loaded its data; rejects with its error or the network's. */
export async function pingRedis(url: string): Promise<void> {
  const client = connectRedis(url, 'ingest')
  const { promise: failed, reject } = Promise.withResolvers<never>()
  // For a cluster or Sentinels, an error of one host is not final: the next host is asked.
  if (!mayFailOver(redisAddress(url))) client.once('error', reject)
  try {
    if (!(await Promise.race([failed, readyWithin(client, LIMIT_MS)]))) {
      throw lastErrorOf(client) ?? new Error('Redis does not answer')
    }
    await client.ping()
  } finally {
    client.disconnect()
  }
}
