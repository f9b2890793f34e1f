import { connect } from 'node:net'

/** Writes bytes to a port. Resolves to the answer when the server closes, or after `limitMs` ms without any data. */
export function exchange(
  port: number,
  chunks: readonly (string | Buffer)[],
  {
    limitMs = 700,
    betweenMs = 0,
    halfClose = false,
  }: { limitMs?: number; betweenMs?: number; halfClose?: boolean } = {},
): Promise<{ text: string; statuses: number[]; closed: boolean }> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    const done = (closed: boolean) => {
      socket.destroy()
      const statuses = [...text.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map(([, status]) => Number(status))
      resolve({ text, statuses, closed })
    }
    socket.setTimeout(limitMs, () => done(false))
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('close', () => done(true))
    socket.on('error', () => done(true))
    socket.on('connect', async () => {
      for (const chunk of chunks) {
        if (socket.destroyed) return
        socket.write(chunk)
        if (betweenMs > 0) await new Promise((next) => setTimeout(next, betweenMs))
      }
      if (halfClose) socket.end()
    })
  })
}
