import type { World } from '@sluice/testkit/world'
import pg from 'pg'

/** Replaces the tables by those of the dump, which changes the settings of its connection. */
export async function loadPostgres({ databaseUrl, rows }: World, sql: string): Promise<void> {
  await rows('drop schema public cascade; create schema public')
  const client = new pg.Client(databaseUrl)
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
