import { toJourneyReply } from '@sluice/console'
import {
  type FoundJourney,
  type JourneyPage,
  type JourneysFound,
  lookUpJourneys,
  rebuildJourneys,
} from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { complain, grouped, print, printFields, printJson, printProgress } from '../output.ts'
import { withStores } from '../stores.ts'
import { printActs } from './audit.ts'

type JourneyOptions = { at?: string; zone?: string; json?: true }

export function journeyCommand(): Command {
  return new Command('journey')
    .description(
      'show the state of a journey, what each of its events did to it, what is missing, and words for the customer',
    )
    .argument('<id>', 'a journey id or a reference number')
    .option('--at <event>', 'as of this event of it, by event id or event key')
    .option('--zone <zone>', 'the time zone of the words for the customer, such as Europe/Berlin')
    .option('--json', 'print JSON as the API does')
    .action(async (name: string, { at, zone, json }: JourneyOptions) => {
      const found = await withStores((stores) => lookUpJourneys(stores, name, { at, zone }))
      if (found.kind === 'refused') throw new UserError(found.words)
      const { journeys, total } = found
      if (!journeys.some(({ page }) => page.kind === 'journey')) process.exitCode = 1
      const isCut = journeys.length < total
      const note = `The last ${grouped(journeys.length)} of ${grouped(total)} journeys of ${name}:`
      if (json && isCut) complain(note)
      if (json) for (const line of describeUnlanded(found)) complain(line)
      if (json) return printJson(journeys.map(({ name, page }) => toJourneyReply(name, page)))
      if (journeys.length === 0) print(`No journey has the id or reference number ${name}.`)
      for (const line of describeUnlanded(found)) print(line)
      if (isCut) {
        print(note)
        print()
      }
      for (const journey of journeys) printJourney(journey)
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

type Found = Extract<JourneysFound, { kind: 'found' }>

/** What of the name has not landed, and how far was looked if more may wait. */
function describeUnlanded({
  waiting,
  letters,
  looked,
}: Pick<Found, 'waiting' | 'letters' | 'looked'>): string[] {
  return [
    ...waiting.map(
      ({ event, where, environment, eventKey }) =>
        `Not landed yet: ${event ?? '(no event name)'} · ${environment} waits in the ${where}  npx sluice event ${eventKey}`,
    ),
    ...letters.map(
      ({ id, event, environment, reason, errorMessage }) =>
        `Not landed: ${event ?? '(no event name)'} · ${environment} is dead letter ${id}: ${reason}: ${errorMessage}  npx sluice dead show ${id}`,
    ),
    ...(looked.length === 0 ? [] : [`More may wait. Looked through ${looked.join('; ')}.`]),
  ]
}

function printJourney({ name, page }: FoundJourney): void {
  print(`Journey ${name.journeyId} · ${name.environment}`)
  if (page.kind === 'journey') printLanded(page)
  else print('  Nothing of this journey has landed.')
  for (const { id, state, reason, errorMessage } of page.letters) {
    print(`Dead letter ${id} (${state}): ${reason}: ${errorMessage}`)
    print(`  npx sluice dead show ${id}`)
  }
  for (const line of describeUnlanded({ ...page, letters: [] })) print(line)
  printActs('Acts:', page.acts)
  for (const { event, lastRefusedAt, eventKey } of page.refused) {
    print(`Refused, and not delivered since ${lastRefusedAt.toISOString()}: ${event ?? '(no event name)'}`)
    print(`  npx sluice event ${eventKey}`)
  }
  print()
}

function printLanded({ journey, state, at, timeline, later, total, dropped, ...page }: JourneyPage): void {
  if (at !== null) print(`  As of event ${at}:`)
  if (state) printFields(state)
  else print('  Nothing of this journey was known yet.')
  print()
  if (dropped > 0 && journey.baseUntil) {
    const before = journey.baseUntil.toISOString().slice(0, 10)
    print(
      `  ${grouped(dropped)} ${dropped === 1 ? 'event before' : 'events before'} ${before} ${dropped === 1 ? 'is' : 'are'} no longer stored`,
    )
  }
  if (timeline.length + later.length < total - dropped) {
    const shown = timeline.length + later.length
    print(`  The last ${grouped(shown)} of ${grouped(total - dropped)} stored events:`)
  }
  for (const entry of timeline) printEntry(entry)
  if (later.length > 0)
    print(`  ${grouped(later.length)} ${later.length === 1 ? 'event' : 'events'} came after that`)
  if (page.missing) print(`  Missing: ${page.missing.words}`)
  print()
  print('For the customer:')
  print(`  ${page.paragraph}`)
  for (const { journeyId, environment, stage } of page.beside)
    print(`Of the same reference: npx sluice journey ${journeyId} (${environment}, ${stage})`)
}

function printEntry({ event, changed, supersededBecause }: JourneyPage['timeline'][number]): void {
  const duplicates = event.duplicates > 0 ? `, ${event.duplicates} duplicates` : ''
  const action = event.action ?? event.trigger
  print(
    `  ${new Date(event.lastAt).toISOString()}  ${event.event}${action ? ` (${action})` : ''}${duplicates}`,
  )
  for (const { field, from, to } of changed) print(`      ${field}: ${from ?? '-'} → ${to ?? '-'}`)
  if (supersededBecause) print(`      ${supersededBecause}`)
  print(`      npx sluice event ${event.eventId ?? event.eventKey}`)
}
