import {
  findJourneys,
  type JourneyStory,
  type JourneyStoryEvent,
  readJourneyStory,
  rebuildJourneys,
  type StoredJourney,
} from '@sluice/shared/db'
import { journeyTimeline, type TimelineEntry } from '@sluice/shared/journey'
import { Command } from 'commander'
import { complain, print, printFields, printJson, printProgress } from '../output.ts'
import { withStores } from '../stores.ts'

type Story = {
  journey: StoredJourney
  timeline: TimelineEntry<JourneyStoryEvent>[]
  /** How many events there are; the timeline has the newest ones. */
  total: number
}

export function journeyCommand(): Command {
  return new Command('journey')
    .description('show the state of a journey, and what each of its events did to it')
    .argument('<id>', 'a journey id or a reference number')
    .option('--json', 'print JSON')
    .action(async (name: string, { json }: { json?: true }) => {
      const { stories, total } = await withStores(async ({ db }) => {
        const { journeys, total } = await findJourneys(db, name)
        const stories = journeys.map(async (journey): Promise<Story> => {
          const story = await readJourneyStory(db, journey)
          return { journey, timeline: tell(story), total: story.total }
        })
        return { stories: await Promise.all(stories), total }
      })
      if (stories.length === 0) process.exitCode = 1
      const note = `The last ${grouped(stories.length)} of ${grouped(total)} journeys of ${name}:`
      if (json && stories.length < total) complain(note)
      if (json) return printJson(stories)
      if (stories.length === 0) return print(`No journey has the id or reference number ${name}.`)
      if (stories.length < total) {
        print(note)
        print()
      }
      for (const story of stories) printStory(story)
    })
    .addCommand(rebuildCommand())
}

function rebuildCommand(): Command {
  return new Command('rebuild')
    .description('fold every journey anew from its stored events, while workers run')
    .option('--json', 'print JSON')
    .action(async ({ json }: { json?: true }) => {
      const show = !json && process.stderr.isTTY
      const result = await withStores(({ db }) =>
        rebuildJourneys(db, (folded) => show && printProgress(`${folded} journeys`)),
      )
      if (show) printProgress('')
      if (json) return printJson(result)
      print(`${result.folded} journeys folded, ${result.changed} changed.`)
    })
}

/** Spot checks carry no journey id: they stand in the timeline by their arrival, and change nothing. */
function tell({ events, earlier }: JourneyStory): TimelineEntry<JourneyStoryEvent>[] {
  const attached = events.filter((event) => event.attachedByReference)
  const entries = [
    ...journeyTimeline(
      events.filter((event) => !event.attachedByReference),
      earlier,
    ),
    ...attached.map((event) => ({
      event,
      changed: [],
      supersededBecause: 'attached by reference: it has no journey id',
    })),
  ]
  return entries.sort((a, b) => a.event.lastAt - b.event.lastAt)
}

function printStory({ journey, timeline, total }: Story): void {
  print(`Journey ${journey.journeyId} · ${journey.environment}`)
  const { environment: _environment, journeyId: _journeyId, ...fields } = journey
  printFields(fields)
  print()
  if (timeline.length < total) print(`  The last ${grouped(timeline.length)} of ${grouped(total)} events:`)
  for (const { event, changed, supersededBecause } of timeline) {
    const duplicates = event.duplicates > 0 ? `, ${event.duplicates} duplicates` : ''
    const action = event.action ?? event.trigger
    print(
      `  ${new Date(event.lastAt).toISOString()}  ${event.event}${action ? ` (${action})` : ''}${duplicates}`,
    )
    for (const { field, from, to } of changed) print(`      ${field}: ${from ?? '-'} → ${to ?? '-'}`)
    if (supersededBecause) print(`      ${supersededBecause}`)
    print(`      sluice event ${event.eventId ?? event.eventKey}`)
  }
  print()
}

function grouped(count: number): string {
  return count.toLocaleString('en')
}
