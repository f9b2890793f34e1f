import { expect, inject, it } from 'vitest'
import { limitedClient, withoutLimits } from '../src/db/client.ts'
import { classifyFailure } from '../src/db/index.ts'

const LIMIT_MS = 400

async function connect(answerMs: number) {
  const limits = { statementMs: 60_000, lockMs: 3_000, idleInTransactionMs: 15_000, answerMs }
  const client = new (limitedClient(limits))({ connectionString: inject('postgresUrl'), pipeline: true })
  client.on('error', () => {})
  await client.connect()
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
}

it('queries that are not answered in time fail together', async () => {
  await using client = await connect(LIMIT_MS)
  const asked = [client.query('select pg_sleep(30)'), client.query('select 1')]
  for (const { status, reason } of (await Promise.allSettled(asked)) as PromiseRejectedResult[]) {
    expect(status).toBe('rejected')
    expect(reason.message).toContain('Postgres has not answered for 400 ms')
    expect(classifyFailure(reason)).toBe('infrastructure')
  }
  await expect(client.query('select 1')).rejects.toThrow('not queryable')
})

it('neither an idle connection nor one with many quick queries is given up', async () => {
  await using client = await connect(LIMIT_MS)
  await client.query('select 1')
  await client.query('no sql').catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 3 * LIMIT_MS))
  for (const end = Date.now() + 3 * LIMIT_MS; Date.now() < end; ) await client.query('select pg_sleep(0.1)')
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

it('a connection without limits waits as long as its statement takes', async () => {
  await using client = await connect(LIMIT_MS)
  await withoutLimits(client)
  await client.query('select pg_sleep($1)', [(4 * LIMIT_MS) / 1000])
  expect((await client.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '0' }])
})
