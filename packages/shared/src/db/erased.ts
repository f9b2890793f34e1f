import { hash } from 'node:crypto'
import type { IdwiseEvent } from '../idwise/event.ts'
import type { Log } from '../runtime/log.ts'
import { ERASURES_REQUESTED, SHARE_FENCE } from './erasure-fence.ts'
import type { Connection } from './pool.ts'

/** What can be erased. Its name is a journey id or a reference number, as it is stored (`storedId`). */
export type Subject = {
  readonly kind: 'journey' | 'reference'
  readonly environment: string
  readonly name: string
}

type Named = Pick<IdwiseEvent, 'journeyId' | 'referenceNo' | 'details'>

/** The journeys and reference numbers of which nothing may be stored. */
export type Erased = {
  readonly size: number
  /** The number of the erasure that an event falls under; undefined if there is none. */
  of(environment: string, event: Named): number | undefined
  /** Says once for each erasure that events still come. */
  stillComes(erasures: Iterable<number>): void
}

/** The erasures that this process knows. */
export type ErasedSubjects = {
  /** Reads them in the caller's landing transaction if that has another number of requests. */
  asOf(connection: Connection, erasures: number): Erased | Promise<Erased>
}

const NOTHING: Erased = { size: 0, of: () => undefined, stillComes() {} }
/** Names that were looked for and not found are remembered: a journey's events come close together. */
const MOST_REMEMBERED = 50_000

export function createErasedSubjects(log?: Log): ErasedSubjects {
  const warned = new Set<number>()
  let known = { erasures: 0, erased: NOTHING }

  function stillComes(erasures: Iterable<number>): void {
    for (const erasure of erasures) {
      if (warned.has(erasure)) continue
      warned.add(erasure)
      log?.warn({ erasure }, 'IDWise still sends for an erased journey: delete it there too')
    }
  }
  async function read(connection: Connection, erasures: number): Promise<Erased> {
    const { rows } = await connection.query<{ secret: Buffer; n: number; subject: Buffer | null }>(
      `select i.secret, e.n::float8 as n, subject
        from installation i left join (select n, unnest(subjects) as subject from erasures) as e on true order by e.n`,
    )
    const secret = rows[0]?.secret ?? Buffer.alloc(0)
    const byHash = new Map(
      rows.flatMap(({ n, subject }) => (subject ? [[subject.toString('latin1'), n]] : [])),
    )
    known = { erasures, erased: createErased(byHash, createSubjectHash(secret), stillComes) }
    return known.erased
  }
  return {
    asOf: (connection, erasures) => (erasures === known.erasures ? known.erased : read(connection, erasures)),
  }
}

/**
 * For a transaction that does not land, but writes rows of journeys.
 *
 * @returns the number of requests to erase
 */
export async function shareFence(connection: Connection): Promise<number> {
  await connection.query(SHARE_FENCE)
  return (await connection.query(`select ${ERASURES_REQUESTED} as erasures`)).rows[0]?.erasures
}

/** @param byHash the number of the newest erasure of each subject, by `SubjectHash` */
export function createErased(
  byHash: ReadonlyMap<string, number>,
  hashOf: SubjectHash,
  stillComes: Erased['stillComes'] = () => {},
): Erased {
  const others = new Set<string>()
  function find(kind: Subject['kind'], environment: string, name: string | null): number | undefined {
    if (name === null) return undefined
    const text = textOf({ kind, environment, name })
    if (others.has(text)) return undefined
    const found = byHash.get(hashOf(text))
    if (found === undefined) {
      if (others.size === MOST_REMEMBERED) others.clear()
      others.add(text)
    }
    return found
  }
  return {
    size: byHash.size,
    of: (environment, { journeyId, referenceNo, details }) =>
      find('journey', environment, journeyId ?? details?.spotCheckJourneyId ?? null) ??
      find('reference', environment, referenceNo),
    stillComes,
  }
}

/** A subject as text. None of its parts has a NUL. */
export function textOf({ kind, environment, name }: Subject): string {
  return `${kind}\0${environment}\0${name}`
}

/** HMAC-SHA-256 (RFC 2104) of the text of a subject, as a latin1 string. */
export type SubjectHash = (text: string) => string

const BLOCK_BYTES = 64

/**
 * By the definition, since that costs 3.6 µs and `createHmac` 6 to 9 µs. The key is made of the secret, which signs
 * receipts as well.
 */
export function createSubjectHash(secret: Buffer): SubjectHash {
  const key = hash('sha256', Buffer.concat([Buffer.from('sluice subjects\0'), secret]), 'buffer')
  const padded = (byte: number) =>
    Buffer.alloc(BLOCK_BYTES, byte).map((pad, index) => pad ^ (key[index] ?? 0))
  const [inner, outer] = [padded(0x36), padded(0x5c)].map((pad) => Buffer.from(pad)) as [Buffer, Buffer]
  return (text) => {
    const digest = hash('sha256', Buffer.concat([inner, Buffer.from(text)]), 'buffer')
    return hash('sha256', Buffer.concat([outer, digest]), 'binary')
  }
}
