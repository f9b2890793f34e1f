import { findJourneys, type JourneyName } from '../db/index.ts'
import { type JourneyAsked, type JourneyPageRead, readJourneyPage } from './find/journey-page.ts'
import { knownEnvironments, type Stores } from './stores.ts'

export type FoundJourney = {
  readonly name: JourneyName
  readonly page: Extract<JourneyPageRead, { kind: 'journey' | 'not_landed' }>
}

export type JourneysFound =
  | {
      readonly kind: 'found'
      /** The last active first. If none has landed, those of which a dead letter or a refused delivery is known. */
      readonly journeys: readonly FoundJourney[]
      /** How many journeys have the name. */
      readonly total: number
    }
  | Extract<JourneyPageRead, { kind: 'refused' }>

/** The pages of the journeys of an id or a reference number: as many as `findJourneys` returns. */
export async function lookUpJourneys(
  stores: Pick<Stores, 'db' | 'sources'>,
  name: string,
  asked: JourneyAsked = {},
): Promise<JourneysFound> {
  const { journeys, total } = await findJourneys(stores.db, name)
  const names: readonly JourneyName[] =
    total > 0
      ? journeys
      : (await knownEnvironments(stores)).map((environment) => ({ environment, journeyId: name }))
  const pages = await Promise.all(
    names.map(async ({ environment, journeyId }) => {
      const found = { environment, journeyId }
      return { name: found, page: await readJourneyPage(stores, found, asked) }
    }),
  )
  const found = pages.filter((each): each is FoundJourney => 'letters' in each.page)
  const refused = pages.map(({ page }) => page).find(({ kind }) => kind === 'refused')
  if (found.length === 0 && refused?.kind === 'refused') return refused
  // The other journeys do not have the event.
  return { kind: 'found', journeys: found, total: asked.at === undefined ? total : found.length }
}
