import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, inject, it } from 'vitest'
import { createPrimaryFinder, databaseUrl, hostsIn, placeOf } from '../src/db/hosts.ts'

it.each([
  ['postgres://u:p@a/db', ['a:5432/db']],
  ['postgres://u:p@a:1,b/db?sslmode=disable', ['a:1/db', 'b:5432/db']],
  [
    'postgresql://u:p%40%2F@a:1,[::1]:2,b:3/db?target_session_attrs=read-write',
    ['a:1/db', '::1:2/db', 'b:3/db'],
  ],
  [
    'postgresql://u:p@/db?host=/cloudsql/project:region:instance',
    ['/cloudsql/project:region:instance:5432/db'],
  ],
  ['postgres://u:p@localhost/db?host=/tmp&port=6432', ['/tmp:6432/db']],
  ['postgres://u:p@%2Ftmp/db', ['/tmp:5432/db']],
  ['socket://u:p@/cloudsql/project:region:instance?db=db', ['/cloudsql/project:region:instance:5432/db']],
  ['/var/run/postgresql db', ['/var/run/postgresql:5432/db']],
])('%s leads to each of its hosts', (url, places) => {
  expect(databaseUrl.safeParse(url).success).toBe(true)
  expect(placeOf(url)).toBe(places.join(', '))
  expect(hostsIn(url)).toHaveLength(places.length)
})

it.each([
  ['mysql://u:p@a/db', 'is not a postgres:// URL'],
  ['postgres://u:p/w@a/db', 'percent-encode'],
  ['postgres://u:p@a:port/db', 'look at host and port'],
  ['postgres://u:p@a,b:99999/db', 'look at host and port'],
  ['postgres://u:p@a/db?sslrootcert=/not/there', 'names a file that cannot be read (ENOENT)'],
])('%s is refused with what is wrong', (url, problem) => {
  const { error } = databaseUrl.safeParse(url)
  expect(error?.issues[0]?.message).toContain(problem)
})

it('a host that hangs does not delay the one that can be written to', async () => {
  const hanging = createServer().listen(0, '127.0.0.1')
  await once(hanging, 'listening')
  const { port } = hanging.address() as AddressInfo
  const url = inject('postgresUrl')
  const server = new URL(url)
  const finder = createPrimaryFinder(url.replace(server.host, `127.0.0.1:${port},${server.host}`))
  expect(await finder?.find()).toEqual({ host: server.hostname, port: Number(server.port) })
  hanging.close()
})

it('if no host can be written to, the error names each cause', async () => {
  const finder = createPrimaryFinder('postgres://u:p@127.0.0.1:1,127.0.0.1:2/db')
  await expect(finder?.find()).rejects.toMatchObject({
    code: '57P03',
    message: expect.stringMatching(
      /^none of the 2 hosts can be written to \(.*127.0.0.1:1; .*127.0.0.1:2\)$/,
    ),
  })
})
