import { expect, inject, it } from 'vitest'
import { byteaArray, float8Array, textArray } from '../src/db/array.ts'
import { createDb } from '../src/db/index.ts'
import { createLog } from '../src/runtime/index.ts'

it('arrays reach Postgres as they are', async () => {
  const log = createLog('test', 'silent')
  await using db = createDb(inject('postgresUrl'), { max: 1, statementMs: 5_000, log, name: 'test' })
  const ask = async (type: string, value: Buffer) =>
    (await db.pool.query(`select $1::${type}[] as given`, [value])).rows[0].given
  const texts = ['a', '', null, '{"a,b"}\\', 'ä€😀', 'x'.repeat(100_000), '\n\u0001']
  expect(await ask('text', textArray(texts))).toEqual(texts)
  expect(await ask('text', textArray([]))).toEqual([])
  expect(await ask('text', textArray(['half of a pair: \ud83d']))).toEqual(['half of a pair: \ufffd'])
  const bytes = [Buffer.from([0, 255, 1]), null, Buffer.alloc(0)]
  expect(await ask('bytea', byteaArray(bytes))).toEqual(bytes)
  expect(await ask('bytea', byteaArray([]))).toEqual([])
  const numbers = [0, -1.5, null, Number.MAX_SAFE_INTEGER, 8.64e15]
  expect(await ask('float8', float8Array(numbers))).toEqual(numbers)
  expect(await ask('float8', float8Array([]))).toEqual([])
})
