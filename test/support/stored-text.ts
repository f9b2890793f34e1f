import { gunzipSync } from 'node:zlib'
import type { Db } from '@sluice/shared/db'

/** Columns of the catalogue's own tables aside, every value of every table of the schema. */
const COLUMNS = `select table_name as "table", column_name as "column", data_type as type
  from information_schema.columns join information_schema.tables using (table_schema, table_name)
  where table_schema = 'public' and table_type = 'BASE TABLE'`

/** Where any of these texts is stored, as `table.column`: in texts, bytes (also base64 and gzip) and documents. */
export async function found(db: Db, texts: readonly string[]): Promise<string[]> {
  const { rows: columns } = await db.pool.query<{ table: string; column: string; type: string }>(COLUMNS)
  const places = new Set<string>()
  for (const { table, column, type } of columns) {
    const value = type === 'bytea' ? `"${column}"` : `"${column}"::text`
    const { rows } = await db.pool.query<{ value: Buffer | string | null }>(
      `select ${value} as value from "${table}" where "${column}" is not null`,
    )
    if (rows.some((row) => row.value !== null && contains(row.value, texts))) places.add(`${table}.${column}`)
  }
  return [...places].sort()
}

function contains(value: Buffer | string, texts: readonly string[]): boolean {
  const bytes = Buffer.from(value)
  if (texts.some((text) => bytes.includes(text))) return true
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : Buffer.alloc(0)
  const encoded = /"raw64":"([^"]+)"/.exec(bytes.toString('latin1'))?.[1]
  if (encoded && contains(Buffer.from(encoded, 'base64'), texts)) return true
  return packed.length > 0 && contains(packed, texts)
}
