import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SenderOptions, Sent } from './sender.ts'

const SENDER = fileURLToPath(new URL('sender.ts', import.meta.url))

/** Eight hex digits that no other run of this process has. */
export const newTag = () => randomBytes(4).toString('hex')

/** A process that sends events, one run at a time. */
export type Load = AsyncDisposable & {
  /** Without a rate it sends as fast as the answers come. */
  send(port: number, options: LoadOptions): Promise<Sent & { readonly tag: string }>
}
type LoadOptions = { readonly rate?: number; readonly seconds: number }

export function createLoad(token: string): Load {
  const sender = fork(SENDER)
  const exited = once(sender, 'exit')
  return {
    async send(port, { rate, seconds }) {
      const tag = newTag()
      const options: SenderOptions = { port, token, tag, rate: rate ?? null, seconds }
      sender.send(options)
      const [sent] = (await Promise.race([
        once(sender, 'message'),
        exited.then(([code]) => Promise.reject(new Error(`the sender ended with ${code}`))),
      ])) as [Sent]
      return { ...sent, tag }
    },
    async [Symbol.asyncDispose]() {
      sender.kill('SIGKILL')
      await exited
    },
  }
}

/** How many requests were not answered 200 in time. */
export function failed({ answers, left }: Sent): number {
  return left + Object.entries(answers).reduce((sum, [status, n]) => sum + (status === '200' ? 0 : n), 0)
}
