import { type SeenProcess, seenProcesses } from '../../db/index.ts'
import type { Stores } from '../stores.ts'
import { ALIVE_MS } from './causes.ts'
import type { Figures, KnownProcess } from './figures.ts'

/** `from`: when Postgres last answered before it; `to`: null while it lasts. */
export type Outage = { readonly from: Date; readonly to: Date | null }

/**
 * @param state of Postgres now
 * @param before what this process read last
 */
export function outageOf(
  state: Figures['stores']['postgres'],
  at: Date,
  before: { readonly at: Date; readonly outage: Outage | null } | undefined,
): Outage | null {
  const last = before?.outage ?? null
  if (state === 'up') return last && { from: last.from, to: last.to ?? at }
  // Processes may not have given a sign of life since the one before.
  if (last && (last.to === null || at.getTime() - last.to.getTime() < ALIVE_MS)) return { ...last, to: null }
  return { from: before?.at ?? new Date(0), to: null }
}

const SHOWN_MS = 600_000

/** The processes that gave a sign of life within the last minutes, the newest first. */
export async function readProcesses(
  pool: Stores['db']['pool'],
  at: Date,
  outage: Outage | null,
): Promise<KnownProcess[]> {
  const awayMs = outage ? at.getTime() - outage.from.getTime() : 0
  const seen = await seenProcesses(pool, awayMs + SHOWN_MS)
  return seen
    .map((process) => knownProcess(process, at, outage))
    .filter(({ missedMs }) => missedMs < SHOWN_MS)
}

/** The silence that counts of a process that was alive when Postgres went away begins when Postgres is back. */
function knownProcess(process: SeenProcess, at: Date, outage: Outage | null): KnownProcess {
  const { silentMs } = process
  if (!outage?.to) return { ...process, missedMs: silentMs }
  const backMs = at.getTime() - outage.to.getTime()
  const wasAlive = silentMs - (at.getTime() - outage.from.getTime()) <= ALIVE_MS
  return { ...process, missedMs: wasAlive ? Math.min(silentMs, backMs) : silentMs }
}
