import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { GOOD_HEADERS, LIVE } from './corpus.ts'

export type GoodClient = {
  /** What it was answered other than 200. */
  failures: string[]
  /** What it was answered 200 for, by the id of the answer. */
  accepted: Map<string, Buffer>
  slowestMs: number
  /** Ends after the request under way. */
  stop(): Promise<void>
}

/** Posts one event after the other, of every size and kind of bytes, over kept connections. */
export function startGoodClient(port: number): GoodClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 2 })
  let stopped = false
  const client: GoodClient = {
    failures: [],
    accepted: new Map(),
    slowestMs: 0,
    async stop() {
      stopped = true
      await Promise.all(loops)
      agent.destroy()
    },
  }
  const loops = [loop(), loop()]

  async function loop(): Promise<void> {
    for (let n = 0; !stopped; n++) {
      const eventId = randomBytes(12).toString('hex')
      const event = Buffer.from(JSON.stringify({ event: 'Finished Journey', body: { eventId } }))
      const body = n % 2 === 0 ? event : randomBytes(1 + (n % 40) * 200)
      const began = performance.now()
      const { status, text } = await send(body, n % 3 === 0)
      client.slowestMs = Math.max(client.slowestMs, performance.now() - began)
      const id = /^\{"id":"([0-9a-f]{64})"\}$/.exec(text)?.[1]
      if (status === 200 && id) client.accepted.set(id, body)
      else client.failures.push(`${status} ${text}`)
    }
  }

  function send(body: Buffer, chunked: boolean): Promise<{ status: number | undefined; text: string }> {
    return new Promise((resolve) => {
      const headers = { ...GOOD_HEADERS, ...(!chunked && { 'content-length': body.length }) }
      const sending = request({ port, path: LIVE, method: 'POST', headers, agent }, (answer) => {
        let text = ''
        answer.setEncoding('utf8')
        answer.on('data', (chunk) => {
          text += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode, text }))
        answer.on('error', (error) => resolve({ status: undefined, text: error.message }))
      })
      sending.on('error', (error) => resolve({ status: undefined, text: error.message }))
      if (chunked) sending.write(body.subarray(0, body.length / 2))
      sending.end(chunked ? body.subarray(body.length / 2) : body)
    })
  }

  return client
}
