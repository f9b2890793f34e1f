/** OIDs of the element types ("PostgreSQL, pg_type.dat"). */
const TEXT = 25
const BYTEA = 17
const FLOAT8 = 701
const UUID = 2950
const HEADER = 20

/**
 * A one-dimensional `text[]` in PostgreSQL's binary format (`array_recv`). It costs both sides less than the text
 * format that the driver uses. The statement must name the parameter's type.
 */
export function textArray(values: readonly (string | null)[]): Buffer {
  let size = HEADER
  for (const value of values) size += 4 + (value === null ? 0 : Buffer.byteLength(value))
  const buffer = Buffer.allocUnsafe(size)
  let at = header(buffer, TEXT, values.length)
  for (const value of values) {
    const length = value === null ? -1 : buffer.write(value, at + 4)
    buffer.writeInt32BE(length, at)
    at += 4 + Math.max(length, 0)
  }
  return buffer.subarray(0, at)
}

/** The same for a `bytea[]`. */
export function byteaArray(values: readonly (Buffer | null)[]): Buffer {
  let size = HEADER
  for (const value of values) size += 4 + (value?.length ?? 0)
  const buffer = Buffer.allocUnsafe(size)
  let at = header(buffer, BYTEA, values.length)
  for (const value of values) {
    at = buffer.writeInt32BE(value ? value.length : -1, at)
    if (value) at += value.copy(buffer, at)
  }
  return buffer.subarray(0, at)
}

/** The same for a `float8[]`. */
export function float8Array(values: readonly (number | null)[]): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER + 12 * values.length)
  let at = header(buffer, FLOAT8, values.length)
  for (const value of values) {
    at = buffer.writeInt32BE(value === null ? -1 : 8, at)
    if (value !== null) at = buffer.writeDoubleBE(value, at)
  }
  return buffer.subarray(0, at)
}

/** The same for a `uuid[]`. A value may be longer; its first 16 bytes are the UUID. */
export function uuidArray(values: readonly Buffer[]): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER + 20 * values.length)
  let at = header(buffer, UUID, values.length)
  for (const value of values) {
    at = buffer.writeInt32BE(16, at)
    at += value.copy(buffer, at, 0, 16)
  }
  return buffer.subarray(0, at)
}

function header(buffer: Buffer, elementType: number, count: number): number {
  let at = buffer.writeInt32BE(count > 0 ? 1 : 0, 0)
  // Whether there are nulls, which the server does not read.
  at = buffer.writeInt32BE(0, at)
  at = buffer.writeInt32BE(elementType, at)
  if (count === 0) return at
  at = buffer.writeInt32BE(count, at)
  return buffer.writeInt32BE(1, at)
}
