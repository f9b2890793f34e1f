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
  const all = await readUnlanded(stores, () => true)
  const pages: { name: JourneyName; page: JourneyPageRead }[] = []
  // One after the other: there may be a hundred.
  for (const { environment, journeyId } of names) {
    const found = { environment, journeyId }
    const page = await readJourneyPage(stores, found, asked, async (isWanted) => wantedOf(all, isWanted))
    pages.push({ name: found, page })
  }
  const found = pages.filter((each): each is FoundJourney => 'letters' in each.page)
  const refused = pages.map(({ page }) => page).find(({ kind }) => kind === 'refused')
  if (found.length === 0 && refused?.kind === 'refused') return refused
  // The other journeys do not have the event.
  const counted = asked.at === undefined ? total : found.length
  if (found.length > 0)
    return { kind: 'found', journeys: found, total: counted, letters: [], waiting: [], looked: [] }
  const id = storedId(name)
  const isNamed = ({ referenceNo }: { referenceNo: string | null }) => referenceNo === id
  const letters = await findLetters(stores.db, [id], [null])
  return {
    ...{ kind: 'found', journeys: found, total: counted },
    letters: letters.filter((letter) => isNamed(letter) && hasFailed(letter)),
    ...wantedOf(all, isNamed),
  }
}

function wantedOf(all: Unlanded, isWanted: (event: Unlanded['waiting'][number]) => boolean): Unlanded {
  return { ...all, waiting: all.waiting.filter(isWanted) }
}
