import pg from 'pg'
import { createPrimaryFinder, hostsIn } from './hosts.ts'

/**
 * Resolves when the server answers a query; of several hosts, the one that can be written to. Rejects with the
 * reason.
 */
export async function pingPostgres(url: string): Promise<void> {
  const finder = createPrimaryFinder(url)
  if (finder) return void (await finder.find())
  const client = new pg.Client({
    connectionString: hostsIn(url)[0],
    connectionTimeoutMillis: 2_000,
    query_timeout: 2_000,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('select 1')
  } finally {
    await client.end().catch(() => {})
  }
}
