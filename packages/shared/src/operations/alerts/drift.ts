import { type Db, listDrifts } from '../../db/index.ts'
import { describeDrift, eventsOf } from '../drift/index.ts'
import type { Conditions } from './conditions.ts'
import { alertText } from './texts.ts'

const MOST = 20

/** One for each of the newest entries that nobody has acknowledged. Older ones that were told stay open. */
export async function driftConditions({ pool }: Pick<Db, 'pool'>): Promise<Conditions> {
  const rows = await listDrifts(pool, { limit: MOST + 1 })
  const found = rows.slice(0, MOST).map((row) => {
    const { environment, kind, path, value } = row
    const events = eventsOf(row)
    const what = `${describeDrift(row)}${events ? ` (${events})` : ''}`
    return {
      name: 'drift',
      subject: [environment, kind, path, value].filter(Boolean).join(' '),
      severity: 'notice' as const,
      text: alertText('drift', `IDWise sends what is not documented to ${environment}: ${what}.`),
      peak: null,
    }
  })
  return { found, held: rows.length > MOST ? ['drift'] : [] }
}
