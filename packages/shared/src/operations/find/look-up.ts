import {
  findByKeys,
  findByNames,
  findJourneysOf,
  findLetters,
  findRefused,
  keysOfId,
  type Of,
  readEnvironments,
} from '../../db/index.ts'
import { storedId } from '../../idwise/index.ts'
import type { Stores } from '../stores.ts'
import type { SearchHit } from './hits.ts'
import { findWaiting } from './waiting.ts'

const HASH = /^[0-9a-f]{64}$/i
const JOB = /^e-[0-9a-f]{64}(-r\d+)?$/

/**
 * Looks for names in every table at once, each by an index. A name may be an event id, an event key, the id in an
 * answer of the ingest, a job id, a journey id or a reference number.
 *
 * @returns what was found for each name, in order
 */
export async function lookUp(
  stores: Pick<Stores, 'db' | 'queue'>,
  names: readonly string[],
): Promise<SearchHit[][]> {
  const { db } = stores
  const stored = names.map(storedId)
  const hashes = names.map((name) => (HASH.test(name) ? Buffer.from(name, 'hex') : null))
  const environments = await readEnvironments(db)
  const keys = names.flatMap((name, index) => {
    const hash = hashes[index]
    return (hash ? [hash] : keysOfId(name, environments)).map((key) => ({ key, index }))
  })
  const jobIds = names.filter((name) => JOB.test(name))
  const [byKeys, byNames, journeys, letters, refused, jobs] = await Promise.all([
    findByKeys(
      db,
      keys.map(({ key }) => key),
    ),
    findByNames(db, stored, hashes),
    findJourneysOf(db, stored, environments),
    findLetters(db, stored, hashes),
    findRefused(db, stored, hashes),
    findWaiting(stores, jobIds),
  ])
  const ofName = ({ index }: Of<object>) => keys[index]?.index as number
  const found: SearchHit[][] = names.map(() => [])
  const add = (index: number, hit: SearchHit) => {
    const hits = found[index]
    if (hits && !hits.some((other) => isSame(other, hit))) hits.push(hit)
  }
  for (const row of byKeys.events) add(ofName(row), { what: 'event', ...without(row) })
  for (const row of byNames) add(row.index, { what: 'event', ...without(row) })
  for (const row of journeys) add(row.index, { what: 'journey', ...without(row) })
  for (const event of jobs.waiting) add(names.indexOf(event.jobId), { what: 'waiting', ...event })
  for (const row of letters) add(row.index, { what: 'dead_letter', ...without(row) })
  for (const row of refused) add(row.index, { what: 'refused', ...without(row) })
  for (const row of byKeys.gone) add(ofName(row), { what: 'gone', ...without(row) })
  // The queue keeps a completed job for an hour, with the key of its event.
  const ended = jobs.ended.filter(({ eventKey }) => eventKey !== null)
  const landed = await findByKeys(
    db,
    ended.map(({ eventKey }) => Buffer.from(eventKey as string, 'hex')),
  )
  for (const { index, ...event } of landed.events) {
    add(names.indexOf(ended[index]?.jobId as string), { what: 'event', ...event })
  }
  return found
}

function without<Row extends { readonly index: number }>({ index: _, ...row }: Row): Omit<Row, 'index'> {
  return row
}

function isSame(one: SearchHit, other: SearchHit): boolean {
  return one.what === 'event' && other.what === 'event' && one.eventKey === other.eventKey
}
