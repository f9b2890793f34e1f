import { type FoundName, type Place, placeOf, type SearchHit, search } from '@sluice/shared/operations'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { readInput } from '../input.ts'
import { print, printJson, printTable } from '../output.ts'
import { withStores } from '../stores.ts'

/** The longest text, in characters. */
const MOST = 1_000_000

export function searchCommand(): Command {
  return new Command('search')
    .description('find what an id, a reference number or any pasted text leads to')
    .argument(
      '<text...>',
      'an event id, event key, job id, journey id or reference number, or its beginning; or any text with some; - reads standard input',
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit code 1 if anything that the text names is not here.\n\n  npx sluice search CUST-0048213\n  npx sluice search - < undelivered.eml',
    )
    .action(async (words: string[], { json }: { json?: true }) => {
      const text = words.length === 1 && words[0] === '-' ? await readInput(MOST) : words.join(' ')
      const answer = await withStores((stores) => search(stores, text, MOST))
      if (answer.kind === 'nothing_asked') throw new UserError('There is nothing to search for.')
      if (answer.kind === 'too_long')
        throw new UserError(`The text has more than ${answer.limit.toLocaleString('en')} characters.`)
      const names = answer.kind === 'name' ? [answer] : answer.names
      if (names.length === 0 || names.some(({ status }) => status === 'not_here')) process.exitCode = 1
      if (json) return printJson(answer)
      if (answer.kind === 'text') {
        if (names.length === 0) return print('The text has no id and no reference number.')
        printTable(names.map(rowOf))
        if (answer.isCut) print('The text has more names; the first 200 were looked for.')
        if (answer.tried.length > 0)
          print(`What is not here was also looked for in ${answer.tried.join('; ')}.`)
        return
      }
      for (const hit of [...answer.hits, ...answer.starts]) print(describeHit(hit))
      if (answer.status !== 'not_here') return
      if (answer.starts.length > 0) return print(`Nothing is called ${answer.name}; these begin with it.`)
      print(`Nothing is called ${answer.name}. Looked for it in: ${answer.tried.join('; ')}.`)
      for (const { name, journeyId } of answer.nearest)
        print(`  near it: ${name}  npx sluice journey ${journeyId}`)
    })
}

const STATUS: Readonly<Record<FoundName['status'], string>> = {
  landed: 'landed',
  waiting: 'waiting',
  dead_letter: 'dead letter',
  refused: 'refused, not delivered yet',
  gone: 'landed, no longer stored',
  not_here: 'not here',
}

function rowOf({ name, form, status, hits, place }: FoundName): Record<string, unknown> {
  const [first] = hits
  const shown = place ?? (first ? placeOf([first]) : null)
  return { name, as: form, status: STATUS[status], found: hits.length, see: shown && commandFor(shown) }
}

function describeHit(hit: SearchHit): string {
  const place = placeOf([hit])
  return `${wordsFor(hit)}${place ? `  ${commandFor(place)}` : ''}`
}

function wordsFor(hit: SearchHit): string {
  switch (hit.what) {
    case 'event':
      return `${hit.event ?? '(no event name)'} · ${hit.environment}: landed ${hit.processedAt.toISOString()}`
    case 'journey':
      return `Journey ${hit.journeyId} · ${hit.environment}: ${hit.stage}, ${hit.finalDecision ?? 'no decision'}, reference ${hit.referenceNo ?? '-'}`
    case 'waiting':
      return `${hit.event ?? '(unreadable)'} · ${hit.environment ?? '-'}: waits in the ${hit.where}`
    case 'dead_letter':
      return `Dead letter ${hit.id} (${hit.state}): ${hit.reason}: ${hit.errorMessage}`
    case 'refused':
      return `${hit.event ?? '(no event name)'} · ${hit.environment}: refused, last at ${hit.lastRefusedAt.toISOString()}`
    case 'gone':
      return `Event ${hit.eventKey}… landed on ${hit.landedAt.toISOString()}, no longer stored (${hit.because})`
    default:
      return hit satisfies never
  }
}

function commandFor(place: Place): string {
  switch (place.page) {
    case 'event':
      return `npx sluice event ${place.eventKey}`
    case 'journey':
      return `npx sluice journey ${place.journeyId}`
    case 'dead_letter':
      return `npx sluice dead show ${place.id}`
    default:
      return place satisfies never
  }
}
