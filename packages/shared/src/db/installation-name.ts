import type { Connection } from './pool.ts'

/** What tells two installations apart, for people and for what merges their messages. */
export type Installation = {
  /** That of the database. */
  readonly name: string
  /** Made from what the migration has drawn at random. It shows nothing of it. */
  readonly id: string
}

export async function nameInstallation(connection: Connection): Promise<Installation> {
  const { rows } = await connection.query<Installation>(
    `select current_database() as name, left(encode(sha256('installation'::bytea || secret), 'hex'), 8) as id from installation`,
  )
  if (!rows[0]) throw new Error('the table installation has no row')
  return rows[0]
}
