import { findJourneys, findLetters, type JourneyName, type LetterSummary } from '../db/index.ts'
import { storedId } from '../idwise/index.ts'
import { type JourneyAsked, type JourneyPageRead, readJourneyPage } from './find/journey-page.ts'
import { hasFailed, readUnlanded, type Unlanded } from './find/unlanded.ts'
import { knownEnvironments, type Stores } from './stores.ts'

export type FoundJourney = {
  readonly name: JourneyName
  readonly page: Extract<JourneyPageRead, { kind: 'journey' | 'not_landed' }>
}

export type JourneysFound =
  | (Unlanded & {
      readonly kind: 'found'
      /** The last active first. If none has landed, those of which a dead letter or a refused delivery is known. */
      readonly journeys: readonly FoundJourney[]
      /** How many journeys have the name. */
      readonly total: number
      /** If there are no journeys: the open dead letters, and what waits, with the name as a reference number. */
      readonly letters: readonly LetterSummary[]
    })
  | Extract<JourneyPageRead, { kind: 'refused' }>

/** The pages of the journeys of an id or a reference number: as many as `findJourneys` returns. */
export async function lookUpJourneys(
  stores: Pick<Stores, 'db' | 'queue' | 'sources'>,
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
  const counted = asked.at === undefined ? total : found.length
  const others = found.length > 0 ? { letters: [], waiting: [], looked: [] } : await ofReference(stores, name)
  return { kind: 'found', journeys: found, total: counted, ...others }
}

async function ofReference(
  stores: Pick<Stores, 'db' | 'queue'>,
  name: string,
): Promise<Unlanded & { letters: LetterSummary[] }> {
  const id = storedId(name)
  const isNamed = ({ referenceNo }: { referenceNo: string | null }) => referenceNo === id
  const [letters, unlanded] = await Promise.all([
    findLetters(stores.db, [id], [null]),
    readUnlanded(stores, isNamed),
  ])
  return { ...unlanded, letters: letters.filter((letter) => isNamed(letter) && hasFailed(letter)) }
}
