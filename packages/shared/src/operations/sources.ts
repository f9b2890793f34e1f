import { readMinutes } from '../db/index.ts'
import { type Check, DEFAULT_SOURCES, namesOf, warn } from '../runtime/index.ts'
import { flowOf, shownSince } from './state/flow.ts'
import type { Stores } from './stores.ts'

const DAY_MS = 86_400_000

/** Checks that the settings name the sources of which events come. Without Postgres the result is empty. */
export async function checkSources({
  db,
  sources = DEFAULT_SOURCES,
}: Pick<Stores, 'db' | 'sources'>): Promise<Check[]> {
  const now = new Date()
  const minutes = await readMinutes(db.pool, shownSince(now)).catch(() => [])
  const recent = Object.entries(flowOf(minutes, now, []).lastEvents).flatMap(([name, last]) =>
    last && now.getTime() - last.getTime() < DAY_MS ? [name] : [],
  )
  const known = namesOf(sources)
  const strays = recent.filter((name) => !known.includes(name))
  if (strays.length === 0) return []
  const text = `events come from ${strays.join(', ')}, which IDWISE_SOURCES does not name here`
  const advice =
    'Give all processes the same IDWISE_SOURCES. These events land, but nobody hears if they stop.'
  return [warn('Sources', text, advice)]
}
