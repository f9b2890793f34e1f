import { randomBytes } from 'node:crypto'
import { run } from '../test/support/process.ts'
import type { SenderOptions, Sent } from './sender.ts'
import { TOKEN } from './world.ts'

const CONNECTIONS = 256

/** Eight hex digits that no other run of this process has. */
export const newTag = () => randomBytes(4).toString('hex')

/** Sends events to a port from a process of its own. */
export async function send(
  port: number,
  options: { rate?: number; seconds: number; tag?: string; connections?: number; warmUpMs?: number },
): Promise<Sent & { readonly tag: string }> {
  const { rate, seconds, tag = newTag(), connections = CONNECTIONS, warmUpMs = 300 } = options
  const given: SenderOptions = { port, token: TOKEN, tag, connections, rate: rate ?? null, seconds, warmUpMs }
  await using sender = run('bench/sender.ts', [JSON.stringify(given)], {})
  const code = await sender.exited
  if (code !== 0) throw new Error(`the sender ended with ${code}: ${sender.output()}`)
  const sent: Sent = JSON.parse(sender.output())
  return { ...sent, tag }
}

/** The share of requests that were not answered 200, those that were not answered in time included. */
export function failed({ answers, left }: Sent): number {
  return left + Object.entries(answers).reduce((sum, [status, n]) => sum + (status === '200' ? 0 : n), 0)
}
