import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'

export type Heard = { path: string; headers: Record<string, unknown>; body: string }

/** The first lines of messages to Slack. */
export const titlesOf = (heard: readonly Heard[]) =>
  heard.map(({ body }) => (JSON.parse(body) as { text: string }).text.split('\n')[0] ?? '')

/** A receiver on loopback. While `answer` is null, it takes connections and never answers. */
export async function hearHttp(): Promise<
  AsyncDisposable & { url: string; heard: Heard[]; answer: number | null }
> {
  const heard: Heard[] = []
  const server = createHttpServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    heard.push({ path: request.url ?? '', headers: request.headers, body })
    if (double.answer !== null) response.writeHead(double.answer).end()
  })
  const port = await listen(server)
  const double = {
    url: `http://127.0.0.1:${port}`,
    heard,
    answer: 200 as number | null,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return double
}

/** A mail server that takes everything. */
export async function hearMail(): Promise<AsyncDisposable & { url: string; mails: string[] }> {
  const mails: string[] = []
  const server = createServer((socket) => {
    let data: string | undefined
    let rest = ''
    socket.on('error', () => {})
    socket.write('220 double\r\n')
    socket.on('data', (chunk) => {
      rest += chunk
      for (let end = rest.indexOf('\r\n'); end >= 0; end = rest.indexOf('\r\n')) {
        const line = rest.slice(0, end)
        rest = rest.slice(end + 2)
        if (data !== undefined && line !== '.') data += `${line}\n`
        else if (data !== undefined) {
          mails.push(data)
          data = undefined
          socket.write('250 taken\r\n')
        } else if (line === 'DATA') {
          data = ''
          socket.write('354 go on\r\n')
        } else if (line === 'QUIT') socket.end('221 bye\r\n')
        else socket.write('250 ok\r\n')
      }
    })
  })
  const port = await listen(server)
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
