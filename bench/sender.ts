import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { eventOf } from './events.ts'

/**
 * A process that sends events over kept-alive connections, one run for each message that it gets, and answers with the
 * figures. It stays for all runs: a new process would compile its code for two seconds while a candidate is measured.
 * It writes prepared bytes to sockets: the client of the simulator costs more CPU per request than the servers do, on
 * the same machine.
 *
 * With a rate it is an open loop: event n is due n/rate seconds after the start, whatever the receiver does, and its
 * latency counts from then. (Timers have a grain of 1 ms, which is in every figure.) Without a rate each connection
 * sends the next event when the last one is answered. The run starts when all connections are open.
 *
 * It is not autocannon, whose rate belongs to each connection: a connection that waits for its answer sends nothing, so
 * a slow receiver would lower the rate. It also sends the same body again, or builds a request object for each event.
 */
export type SenderOptions = {
  readonly port: number
  readonly token: string
  readonly tag: string
  /** Events a second; null sends as fast as the answers come. */
  readonly rate: number | null
  readonly seconds: number
}

export type Sent = {
  /** Requests that were counted, by status; `broken` if the connection ended without one. */
  readonly answers: Readonly<Record<string, number>>
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly p999: number
  /** Due but not yet answered at the end. */
  readonly left: number
}

const CONNECTIONS = 256
/** The first requests are not counted. */
const WARM_UP_MS = 300
const DRAIN_MS = 3_000

type Connection = { readonly socket: Socket; dueAt: number | undefined; rest: Buffer | undefined }

async function run({ port, token, tag, rate, seconds }: SenderOptions): Promise<Sent> {
  const latency = createHistogram()
  const answers: Record<string, number> = {}
  const due: number[] = []
  const opened = new Set<Connection>()
  const idle: Connection[] = []
  let start = Number.POSITIVE_INFINITY
  let end = Number.POSITIVE_INFINITY
  let ticked = 0
  let next = 0
  let underWay = 0
  let counted = 0
  let lastAnswer = 0

  /** Resolves when the connection is open, or has failed. */
  async function open(): Promise<void> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const connection: Connection = { socket, dueAt: undefined, rest: undefined }
    opened.add(connection)
    socket.on('data', (chunk) => received(connection, chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      opened.delete(connection)
      const index = idle.indexOf(connection)
      if (index >= 0) idle.splice(index, 1)
      if (connection.dueAt !== undefined) answered(connection, 'broken')
      if (performance.now() < end) void open()
    })
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    if (isOpen) free(connection)
  }

  function free(connection: Connection): void {
    const now = performance.now()
    const dueAt = rate === null && now >= start && now < end ? now : due.shift()
    if (dueAt === undefined) idle.push(connection)
    else send(connection, dueAt)
  }

  function send(connection: Connection, dueAt: number): void {
    connection.dueAt = dueAt
    underWay++
    const body = JSON.stringify(eventOf(tag, next++))
    connection.socket.write(
      `POST /webhooks/idwise/live HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${token}\r\n` +
        `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
  }

  function received(connection: Connection, chunk: Buffer): void {
    const bytes = connection.rest ? Buffer.concat([connection.rest, chunk]) : chunk
    connection.rest = bytes
    const headEnd = bytes.indexOf('\r\n\r\n')
    if (headEnd < 0) return
    const head = bytes.toString('latin1', 0, headEnd)
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    if (bytes.length < headEnd + 4 + length) return
    connection.rest = undefined
    answered(connection, head.slice(9, 12))
    if (/^connection: *close/im.test(head)) connection.socket.destroy()
    else free(connection)
  }

  function answered(connection: Connection, status: string): void {
    const { dueAt = 0 } = connection
    connection.dueAt = undefined
    underWay--
    const now = performance.now()
    if (dueAt < start + WARM_UP_MS) return
    answers[status] = (answers[status] ?? 0) + 1
    latency.record(Math.max(1, Math.round((now - dueAt) * 1000)))
    if (now > end) return
    counted++
    lastAnswer = now
  }

  function tick(perSecond: number): void {
    const now = performance.now()
    for (;;) {
      const dueAt = start + (ticked * 1000) / perSecond
      if (dueAt > now || dueAt > end) break
      ticked++
      const connection = idle.pop()
      if (connection) send(connection, dueAt)
      else due.push(dueAt)
    }
    if (now < end) setTimeout(tick, 1, perSecond)
  }

  await Promise.all(Array.from({ length: CONNECTIONS }, open))
  start = performance.now()
  end = start + seconds * 1000
  if (rate === null) for (const connection of idle.splice(0)) send(connection, start)
  else tick(rate)
  await pause(seconds * 1000 + 5)
  for (const limit = Date.now() + DRAIN_MS; underWay + due.length > 0 && Date.now() < limit; ) await pause(5)
  const left = underWay + due.length
  const at = (percent: number) => (latency.count === 0 ? Number.NaN : latency.percentile(percent) / 1000)
  const perSecond = (counted * 1000) / (Math.min(end, lastAnswer) - start - WARM_UP_MS)
  const sent = { answers: { ...answers }, perSecond, p50: at(50), p99: at(99), p999: at(99.9), left }
  for (const { socket } of opened) socket.destroy()
  return sent
}

process.on('message', async (options: SenderOptions) => {
  const sent = await run(options)
  process.send?.(sent)
})
process.on('disconnect', () => process.exit())
