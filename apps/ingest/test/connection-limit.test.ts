import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { sourceOf } from '@sluice/shared/runtime'
import { eventually } from '@sluice/testkit/world'
import { expect, it, onTestFinished } from 'vitest'
import { limitConnections } from '../src/connection-limit.ts'
import { createCredentialThrottle } from '../src/credential-throttle.ts'

/** A server with small limits. A request for /known counts as one with right credentials. */
async function serve(limits: { most: number; mostOfAnAddress: number; proxy?: boolean }): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === '/known') limit.setAuthenticated(request.socket)
    response.end()
  })
  const limit = limitConnections(server, { ...limits, isProxy: () => limits.proxy === true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return server
}

async function open(server: Server, path?: string): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  if (path) await ask(socket, path)
  return socket
}

async function ask(socket: Socket, path: string): Promise<void> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await once(socket, 'data')
}

const openOnes = (sockets: Socket[]) => sockets.map((socket) => socket.readyState === 'open')

it('a new connection takes the place of the oldest unauthenticated one, never that of an authenticated one', async () => {
  const server = await serve({ most: 5, mostOfAnAddress: 100 })
  const sockets = [await open(server, '/known'), await open(server, '/known')]
  for (let n = 0; n < 8; n++) sockets.push(await open(server, '/'))
  await eventually(() => sockets.filter(({ readyState }) => readyState === 'open').length === 4)
  expect(openOnes(sockets)).toEqual([true, true, ...Array(6).fill(false), true, true])
  await ask(sockets[0] as Socket, '/known')
})

it('an address may hold some unauthenticated connections, and that of a proxy as many as it likes', async () => {
  const direct = await serve({ most: 100, mostOfAnAddress: 2 })
  const known = await open(direct, '/known')
  const sockets = [await open(direct, '/'), await open(direct, '/'), await open(direct, '/')]
  await eventually(() => sockets[0]?.readyState === 'closed')
  expect(openOnes([known, ...sockets])).toEqual([true, false, true, true])

  const proxied = await serve({ most: 100, mostOfAnAddress: 2, proxy: true })
  const behind = [await open(proxied, '/'), await open(proxied, '/'), await open(proxied, '/')]
  for (const socket of behind) await ask(socket, '/')
})

it('a source has a hundred wrong tries at once and one a second after that, and is reported once', () => {
  let now = 0
  const reported: string[] = []
  const tries = createCredentialThrottle({ now: () => now, onMany: (source) => reported.push(source) })
  const times = (n: number, ip: string) =>
    Array.from({ length: n }, () => tries.addFailure(ip)).filter(Boolean).length
  expect(times(100, '203.0.113.1')).toBe(0)
  expect(times(50, '203.0.113.1')).toBe(50)
  expect(times(1, '203.0.113.2')).toBe(0)
  now += 2_000
  expect(times(50, '203.0.113.1')).toBe(48)
  expect(reported).toEqual(['203.0.113.1'])
  now += 100_000
  expect(times(101, '203.0.113.1')).toBe(1)
  expect(reported).toHaveLength(2)
})

it.each([
  ['203.0.113.1', '203.0.113.1'],
  ['::ffff:203.0.113.1', '203.0.113.1'],
  ['203.0.113.1:5678', '203.0.113.1'],
  ['2001:db8:0:1::5', '2001:db8:0:1'],
  ['2001:db8:0:1:ffff:2:3:4', '2001:db8:0:1'],
  ['2001:0db8::1', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  ['[fe80::1%eth0]:80', 'fe80:0:0:0'],
  ['nonsense', ''],
])('%s counts as %s', (ip, source) => {
  expect(sourceOf(ip)).toBe(source)
})
