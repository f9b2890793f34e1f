import {
  type AwaitedRefusal,
  countDrifts,
  listIncidents,
  listRefusals,
  readHours,
  readState,
  type ShownIncident,
  type State,
  type Stores,
} from '@sluice/shared/operations'

/** What overview, `/now` and the API show. */
export type Now = {
  readonly state: State
  readonly refusals: readonly AwaitedRefusal[]
  /** The open ones; none while Postgres does not tell. */
  readonly incidents: readonly ShownIncident[]
  /** How many differences from what IDWise documents nobody has acknowledged. */
  readonly drifts: number
  /** What was answered in each ten minutes of the last hours, up to a minute ago; none while Postgres has not told. */
  readonly hours: Awaited<ReturnType<typeof readHours>>
}

const LASTS_MS = 900
const HOURS_LAST_MS = 60_000
const REDIS_MS = 500
const MOST_REFUSALS = 50
const MOST_INCIDENTS = 500

/**
 * Reads the state at most once a second, however many ask. Each reading is given the one before, which says since when
 * something is wrong.
 */
export function createReadNow(stores: Pick<Stores, 'db' | 'queue' | 'sources'>): () => Promise<Now> {
  const { db } = stores
  let last: Now | undefined
  let hoursReadAt = 0
  let reading: Promise<Now> | undefined

  async function read(): Promise<Now> {
    const state = await readState(stores, { before: last?.state, redisMs: REDIS_MS })
    const { awaited = 0, lost = 0 } = state.figures.recorded?.refusals ?? {}
    const isUp = state.figures.stores.postgres === 'up'
    const isListed = isUp && awaited + lost > 0
    const refusals = isListed ? await listRefusals(db, MOST_REFUSALS).catch(() => []) : []
    const incidents = isUp ? await listIncidents(db.pool, { limit: MOST_INCIDENTS }).catch(() => []) : []
    const drifts = isUp ? await countDrifts(db.pool).catch(() => 0) : 0
    last = { state, refusals, incidents, drifts, hours: await hoursAt(state.at.getTime(), isUp) }
    return last
  }
  async function hoursAt(at: number, isUp: boolean): Promise<Now['hours']> {
    const known = last?.hours ?? []
    if (!isUp || at - hoursReadAt < HOURS_LAST_MS) return known
    hoursReadAt = at
    return readHours(stores).catch(() => known)
  }

  return async () => {
    if (last && Date.now() - last.state.at.getTime() < LASTS_MS) return last
    reading ??= read().finally(() => {
      reading = undefined
    })
    return reading
  }
}
