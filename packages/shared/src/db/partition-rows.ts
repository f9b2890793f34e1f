import { getTableColumns } from 'drizzle-orm'
import { quoted } from './partitions.ts'
import type { Connection } from './pool.ts'
import { events } from './schema.ts'

/** So few pages of a table are read at once that even bodies of the largest size fit into memory. */
const PAGES_WITH_BODIES = 16
const PAGES = 1_024

// Bytes as hex, as in the answers of the ingest; the body in base64, which is shorter. Key and time come first, since
// a reader of the file finds them without parsing the line.
const FIRST = [events.eventKey.name, events.processedAt.name]
const COLUMNS = Object.values(getTableColumns(events))
  .toSorted((a, b) => place(a.name) - place(b.name))
  .map((column) => {
    const { name } = column
    if (name === events.raw.name) return `translate(encode(${name}, 'base64'), E'\\n', '') as ${name}`
    return column.getSQLType() === 'bytea' ? `encode(${name}, 'hex') as ${name}` : name
  })

function place(name: string): number {
  return FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length
}

/**
 * Reads a table of events from its first page to its last one, each event as a line of JSON with all columns. It takes
 * no snapshot for the whole time, so an event that changes meanwhile may be missing or come twice; `contentOf` tells.
 */
export async function* readLines(connection: Connection, table: string): AsyncGenerator<string[]> {
  for await (const { rows } of pagesOf<{ line: string }>(
    connection,
    table,
    `row_to_json(e)::text as line from (select ${COLUMNS.join(', ')} from ${quoted(table)}`,
    { pages: PAGES_WITH_BODIES, end: ') as e' },
  ))
    yield rows.map(({ line }) => line)
}

/** What a table of events holds: how many, and all of their keys in one number. */
export type Content = { readonly events: number; readonly keys: bigint }

const NO_CONTENT: Content = { events: 0, keys: 0n }

function addContent(some: Content, more: Content): Content {
  return { events: some.events + more.events, keys: some.keys ^ more.keys }
}

/** The start of a key, which `Content` combines. */
const KEY_START = `('x' || encode(substring(event_key for 8), 'hex'))::bit(64)::bigint`

export async function contentOf(connection: Connection, table: string, stop: AbortSignal): Promise<Content> {
  let content = NO_CONTENT
  const wanted = `count(*)::int as events, coalesce(bit_xor(${KEY_START}), 0)::text as keys from ${quoted(table)}`
  for await (const { rows } of pagesOf<{ events: number; keys: string }>(connection, table, wanted)) {
    stop.throwIfAborted()
    for (const { events: count, keys } of rows)
      content = addContent(content, { events: count, keys: BigInt(keys) })
  }
  return content
}

/** Runs a statement for each range of a table's pages. */
async function* pagesOf<Row extends object>(
  connection: Connection,
  table: string,
  beginning: string,
  { pages = PAGES, end = '' } = {},
): AsyncGenerator<{ rows: Row[] }> {
  const { rows } = await connection.query<{ size: number }>(
    `select (pg_relation_size($1::regclass) / current_setting('block_size')::int)::int as size`,
    [quoted(table)],
  )
  const size = rows[0]?.size ?? 0
  for (let page = 0; page < size; page += pages) {
    yield await connection.query<Row>(
      `select ${beginning} where ctid >= '(${page},0)' and ctid < '(${page + pages},0)'${end}`,
    )
  }
}
