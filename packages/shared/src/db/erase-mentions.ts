import type { Wanted } from './erase-search.ts'
import { mentions } from './mentions.ts'
import type { Connection } from './pool.ts'

// No letter matches this filter, since it is none. An operation that is under way ends.
const BLANK_OPERATIONS = `update operations set filter = '{"erased": true}', words = '(erased)',
    state = case when ended_at is null then 'cancelled' else state end
  where filter->>'journeyId' = any($1::text[]) or filter->>'referenceNo' = any($1::text[])`

const WITH_REASONS = ['operations', 'operator_actions']

/**
 * Blanks what operators have typed in about a person: ids in the filters of operations, and reasons. The rows stay,
 * since they say who acted.
 *
 * @returns how many changes each table had
 */
export async function eraseMentions(
  connection: Connection,
  { names, journeys, references }: Wanted,
): Promise<Map<string, number>> {
  const all = [
    ...names,
    ...journeys.map(({ journeyId }) => journeyId),
    ...references.map(({ referenceNo }) => referenceNo),
  ]
  const blanked = await connection.query(BLANK_OPERATIONS, [all])
  const counts = new Map([['operations', blanked.rowCount ?? 0]])
  for (const table of WITH_REASONS) {
    const { rows } = await connection.query<{ id: string; reason: string }>(
      `select id, reason from ${table}
        where exists (select from unnest($1::text[]) as name where position(name in reason) > 0)`,
      [all],
    )
    const found = rows.filter(({ reason }) => mentions(Buffer.from(reason), all)).map(({ id }) => id)
    await connection.query(`update ${table} set reason = '(erased)' where id = any($1::bigint[])`, [found])
    counts.set(table, (counts.get(table) ?? 0) + found.length)
  }
  return counts
}
