import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:net'
import { expect, inject, it } from 'vitest'
import { createDb } from '../src/db/index.ts'
import { createLog } from '../src/runtime/index.ts'

const log = createLog('test', 'fatal')
const LIMITS = { max: 1, statementMs: 5_000, log, name: 'test' }
const QUERY = 'Q'.charCodeAt(0)

it('a connection that breaks before it is set up fails what asked for it, and nothing else', async () => {
  await using relay = await startRelay((bytes, reset) => {
    if (bytes[0] === QUERY) reset()
  })
  await using db = createDb(relay.url, LIMITS)
  await expect(db.pool.query('select 1')).rejects.toThrow(/ECONNRESET|terminated/)
  relay.pass()
  expect((await db.pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

/** Stands before Postgres and shows each message to `look`, which may reset the connection instead. */
async function startRelay(look: (bytes: Buffer, reset: () => void) => void) {
  const url = new URL(inject('postgresUrl'))
  const upstreamPort = Number(url.port)
  let isLooking = true
  const server = createServer((client) => {
    const upstream = connect(upstreamPort, '127.0.0.1')
    client.on('error', () => {}).on('close', () => upstream.destroy())
    upstream.on('error', () => {}).on('close', () => client.destroy())
    upstream.pipe(client)
    client.on('data', (bytes) => {
      if (isLooking) look(bytes, () => client.resetAndDestroy())
      if (!client.destroyed) upstream.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url: url.href,
    pass() {
      isLooking = false
    },
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}
