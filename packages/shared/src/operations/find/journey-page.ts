import {
  type JourneyName,
  type JourneyStory,
  type JourneyStoryEvent,
  type JourneySummary,
  type LetterSummary,
  listActions,
  type RecordedAction,
  type RefusedEvent,
  readJourney,
  readJourneyStory,
  readJourneysBeside,
  readLettersOfJourney,
  readRefusalsOfJourney,
  readUsualGap,
  type StoredJourney,
} from '../../db/index.ts'
import { storedId } from '../../idwise/index.ts'
import { foldJourney, type Journey, journeyTimeline, type TimelineEntry } from '../../journey/index.ts'
import type { Stores } from '../stores.ts'
import { isZone, paragraphForCustomer } from './for-customer.ts'
import { type Missing, missingIn } from './missing.ts'
import { hasFailed, isOfJourney, readUnlanded, type Unlanded } from './unlanded.ts'
import type { WaitingEvent } from './waiting.ts'

/** Everything that is known of one journey, now or as of one of its events. */
export type JourneyPage = Unlanded & {
  readonly kind: 'journey'
  readonly journey: StoredJourney
  /** The fold of the events up to `at`, null if there were none; the journey as it is now if none is given. */
  readonly state: JourneyState | null
  /** The event as of which the journey is shown, in hex. */
  readonly at: string | null
  /** In order of receipt, up to `at`. What did not win is said as of then. */
  readonly timeline: readonly TimelineEntry<JourneyStoryEvent>[]
  /** The events after `at`. */
  readonly later: readonly JourneyStoryEvent[]
  /** How many events the journey has, and how many of them are not stored any more. */
  readonly total: number
  readonly dropped: number
  /** What it waits for; null as of an earlier event, or if that may be what waits or has failed here. */
  readonly missing: Missing | null
  readonly paragraph: string
  readonly beside: readonly JourneySummary[]
  readonly letters: readonly LetterSummary[]
  /** What people did to these, the newest first, at most 20. */
  readonly acts: readonly RecordedAction[]
  readonly refused: readonly RefusedEvent[]
}

type JourneyState = Omit<Journey, 'firstEventAt' | 'lastEventAt'> & {
  readonly firstEventAt: Date
  readonly lastEventAt: Date
}

export type JourneyPageRead =
  | JourneyPage
  /** Nothing of it has landed, but an event waits, or there is a dead letter or a refused delivery. */
  | ({ readonly kind: 'not_landed' } & Pick<
      JourneyPage,
      'letters' | 'acts' | 'refused' | 'waiting' | 'looked'
    >)
  | ({ readonly kind: 'not_here' } & Pick<JourneyPage, 'looked'>)
  /** `words` says what is wrong with `at` or `zone`. */
  | { readonly kind: 'refused'; readonly words: string }

export type JourneyAsked = {
  /** An event, by its key in hex or its id: the journey as of it. */
  readonly at?: string | undefined
  /** The time zone of the paragraph for the customer. */
  readonly zone?: string | undefined
}

const MOST_ACTS = 20

/** @param waitingOf finds what waits; who reads many pages looks through it once */
export async function readJourneyPage(
  stores: Pick<Stores, 'db' | 'queue'>,
  asked: JourneyName,
  { at, zone = 'UTC' }: JourneyAsked = {},
  waitingOf: (isWanted: (event: WaitingEvent) => boolean) => Promise<Unlanded> = (isWanted) =>
    readUnlanded(stores, isWanted),
): Promise<JourneyPageRead> {
  if (!isZone(zone))
    return { kind: 'refused', words: 'The parameter "zone" is no time zone such as Europe/Berlin.' }
  const { db } = stores
  const name = { environment: asked.environment, journeyId: storedId(asked.journeyId) }
  const [journey, letters, refused, { waiting, looked }] = await Promise.all([
    readJourney(db, name),
    readLettersOfJourney(db, name),
    readRefusalsOfJourney(db, name),
    waitingOf((event) => isOfJourney(name, event)),
  ])
  const acts = letters.length > 0 ? await listActions(db, { journey: name }, { limit: MOST_ACTS }) : []
  if (!journey) {
    return letters.length + refused.length + waiting.length > 0
      ? { kind: 'not_landed', letters, acts, refused, waiting, looked }
      : { kind: 'not_here', looked }
  }
  const [story, beside] = await Promise.all([readJourneyStory(db, journey), readJourneysBeside(db, journey)])
  const until =
    at === undefined
      ? story.events.length
      : 1 + story.events.findIndex(({ eventKey, eventId }) => eventKey === at || eventId === at)
  if (at !== undefined && until === 0) {
    return {
      kind: 'refused',
      words: 'The parameter "at" is no event of this journey that is shown. Choose one of its list.',
    }
  }
  const events = story.events.slice(0, until)
  const own = events.filter(({ attachedByReference }) => !attachedByReference)
  const isNow = until === story.events.length
  const isAllLanded = waiting.length === 0 && !letters.some(hasFailed)
  const timeline = timelineOf({ ...story, events })
  const state = isNow ? stateOf(journey) : foldedState([...story.earlier, ...own])
  const gap =
    isNow && state?.stage === 'submitted'
      ? await readUsualGap(db, 'finished_user_steps', 'finished_journey')
      : null
  return {
    kind: 'journey',
    journey,
    state,
    at: at === undefined ? null : (events.at(-1)?.eventKey ?? null),
    timeline,
    later: story.events.slice(until),
    total: story.total,
    dropped: story.dropped,
    missing: isNow && state && isAllLanded ? missingIn(state, own, new Date(), gap) : null,
    paragraph: paragraphForCustomer(timeline, zone),
    beside,
    letters,
    acts,
    refused,
    waiting,
    looked,
  }
}

function foldedState(events: Parameters<typeof foldJourney>[0]): JourneyState | null {
  if (events.length === 0) return null
  const { firstEventAt, lastEventAt, ...state } = foldJourney(events)
  return { ...state, firstEventAt: new Date(firstEventAt), lastEventAt: new Date(lastEventAt) }
}

function stateOf(journey: StoredJourney): JourneyState {
  const { environment: _, journeyId: __, baseUntil: ___, updatedAt: ____, ...state } = journey
  return state
}

/** A spot check has no journey id. It stands in the timeline at its time of receipt, and changes nothing. */
function timelineOf({ events, earlier }: JourneyStory): TimelineEntry<JourneyStoryEvent>[] {
  const { own = [], attached = [] } = Object.groupBy(events, ({ attachedByReference }) =>
    attachedByReference ? 'attached' : 'own',
  )
  const entries = [
    ...journeyTimeline(own, earlier),
    ...attached.map((event) => ({
      event,
      changed: [],
      supersededBecause: 'attached by reference: it has no journey id',
    })),
  ]
  return entries.sort((a, b) => a.event.lastAt - b.event.lastAt)
}
