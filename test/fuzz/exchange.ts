import { connect } from 'node:net'
import type { Random } from '@sluice/simulator'

/**
 * - `whole`, `sliced`: written at once or in pieces. Then our side is closed, and the answers are read.
 * - `abandoned`: the connection is cut at once, and answers are not read.
 * - `lingering`: our side stays open until there is an answer, at the latest when the ingest reaches its limits.
 */
export type Manner = 'whole' | 'sliced' | 'abandoned' | 'lingering'

export type Exchanged = { text: string; end: 'closed' | 'reset' | 'refused' | 'hung' }

const LIMIT_MS = 30_000

/** Writes a request, or a part of one. Resolves to the answers as Latin-1 text. */
export function exchange(port: number, bytes: Buffer, manner: Manner, random: Random): Promise<Exchanged> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    const limit = setTimeout(() => finish('hung'), LIMIT_MS)
    let text = ''
    function finish(end: Exchanged['end']): void {
      clearTimeout(limit)
      socket.destroy()
      resolve({ text, end })
    }
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (manner === 'lingering') finish('closed')
    })
    socket.on('end', () => finish('closed'))
    socket.on('close', () => finish('closed'))
    socket.on('error', (error) =>
      finish((error as NodeJS.ErrnoException).code === 'ECONNREFUSED' ? 'refused' : 'reset'),
    )
    socket.on('connect', async () => {
      for (const piece of manner === 'sliced' ? slices(bytes, random) : [bytes]) {
        if (socket.destroyed) return
        socket.write(piece)
        await new Promise((next) => setImmediate(next))
      }
      if (manner === 'abandoned') finish('closed')
      else if (manner !== 'lingering') socket.end()
    })
  })
}

function slices(bytes: Buffer, random: Random): Buffer[] {
  const ends = Array.from({ length: 1 + random.below(6) }, () => random.below(bytes.length + 1))
  const cuts = [0, ...ends.sort((a, b) => a - b), bytes.length]
  return cuts.slice(1).map((end, index) => bytes.subarray(cuts[index], end))
}
