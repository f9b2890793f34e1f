import {
  type JourneysFound,
  type JourneyWithTimeline,
  lookUpJourneys,
  rebuildJourneys,
} from '@sluice/shared/operations'
import { Command } from 'commander'
import { complain, grouped, print, printFields, printJson, printProgress } from '../output.ts'
import { withStores } from '../stores.ts'

export function journeyCommand(): Command {
  return new Command('journey')
    .description('show the state of a journey, and what each of its events did to it')
    .argument('<id>', 'a journey id or a reference number')
    .option('--json', 'print JSON')
    .action(async (name: string, { json }: { json?: true }) => {
      const found = await withStores((stores) => lookUpJourneys(stores, name))
      const { journeys, total } = found
      const unlanded = describeUnlanded(found)
      if (journeys.length === 0) process.exitCode = 1
      const isCut = journeys.length < total
      const note = `The last ${grouped(journeys.length)} of ${grouped(total)} journeys of ${name}:`
      if (json && isCut) complain(note)
      if (json) for (const line of unlanded) complain(line)
      if (json) return printJson(journeys)
      if (journeys.length === 0) print(`No journey has the id or reference number ${name}.`)
      if (isCut) {
        print(note)
        print()
      }
      for (const journey of journeys) printJourney(journey)
      for (const line of unlanded) print(line)
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

/** What of the name has not landed, and how far was looked if more may wait. */
function describeUnlanded({ waiting, letters, looked }: JourneysFound): string[] {
  return [
    ...waiting.map(
      ({ event, where, environment, eventKey }) =>
        `Not landed yet: ${event ?? '(no event name)'} · ${environment} waits in the ${where}  sluice event ${eventKey}`,
    ),
    ...letters.map(
      ({ id, event, environment, reason, errorMessage }) =>
        `Not landed: ${event ?? '(no event name)'} · ${environment} is dead letter ${id}: ${reason}: ${errorMessage}  sluice dead show ${id}`,
    ),
    ...(looked.length === 0 ? [] : [`More may wait. Looked through ${looked.join('; ')}.`]),
  ]
}

function printJourney({ journey, timeline, total, dropped }: JourneyWithTimeline): void {
  print(`Journey ${journey.journeyId} · ${journey.environment}`)
  const { environment: _environment, journeyId: _journeyId, ...fields } = journey
  printFields(fields)
  print()
  if (dropped > 0 && journey.baseUntil) {
    const before = journey.baseUntil.toISOString().slice(0, 10)
    print(
      `  ${grouped(dropped)} ${dropped === 1 ? 'event before' : 'events before'} ${before} ${dropped === 1 ? 'is' : 'are'} no longer stored`,
    )
  }
  if (timeline.length < total - dropped)
    print(`  The last ${grouped(timeline.length)} of ${grouped(total - dropped)} stored events:`)
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
