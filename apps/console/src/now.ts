import {
  type AwaitedRefusal,
  listRefusals,
  readState,
  type State,
  type Stores,
} from '@sluice/shared/operations'

/** What overview, `/now` and the API show. */
export type Now = { readonly state: State; readonly refusals: readonly AwaitedRefusal[] }

const LASTS_MS = 900
const REDIS_MS = 500
const MOST_REFUSALS = 50

/**
 * Reads the state at most once a second, however many ask. Each reading is given the one before, which says since when
 * something is wrong.
 */
export function createReadNow({ db, queue }: Pick<Stores, 'db' | 'queue'>): () => Promise<Now> {
  let last: Now | undefined
  let reading: Promise<Now> | undefined

  async function read(): Promise<Now> {
    const state = await readState({ db, queue }, { before: last?.state, redisMs: REDIS_MS })
    const { awaited = 0, lost = 0 } = state.figures.recorded?.refusals ?? {}
    const isListed = state.figures.stores.postgres === 'up' && awaited + lost > 0
    const refusals = isListed ? await listRefusals(db, MOST_REFUSALS).catch(() => []) : []
    last = { state, refusals }
    return last
  }
  return async () => {
    if (last && Date.now() - last.state.at.getTime() < LASTS_MS) return last
    reading ??= read().finally(() => {
      reading = undefined
    })
    return reading
  }
}
