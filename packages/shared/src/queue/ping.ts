import { connectRedis } from './connection.ts'

/** Resolves once the server at the URL answers and has loaded its data, rejects with what Redis or the network says. */
export async function pingRedis(url: string): Promise<void> {
  const client = connectRedis(url, 'ingest')
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve)
      client.once('error', reject)
      setTimeout(() => reject(new Error('Redis does not answer')), 3_000).unref()
    })
    await client.ping()
  } finally {
    client.on('error', () => {})
    client.disconnect()
  }
}
