import { describeError, every, type Log } from '@sluice/shared/runtime'
import type { FastifyReply } from 'fastify'
import type { Html } from './html.ts'

const EVERY_MS = 1_000
const HEARTBEAT_MS = 15_000
const MOST_STREAMS = 50

/**
 * Server-sent events. What a topic shows is computed once a second for all of its streams, and only while there is
 * one: no open page asks the stores anything by itself.
 */
export type Live = AsyncDisposable & {
  /**
   * Answers with a stream of what `compute` returns, each time that it has changed.
   *
   * @param topic the same for all pages that show the same
   * @returns false if there are 50 streams already
   */
  stream(topic: string, compute: () => Promise<Html>, reply: FastifyReply): boolean
}

type Topic = {
  readonly compute: () => Promise<Html>
  readonly replies: Set<FastifyReply>
  last: string
  readonly loop: AsyncDisposable
}

export function createLive(log: Log): Live {
  const topics = new Map<string, Topic>()
  const streams = new Set<FastifyReply>()
  const heartbeat = setInterval(() => {
    for (const reply of streams) reply.raw.write(': still here\n\n')
  }, HEARTBEAT_MS).unref()

  function begin(name: string, compute: Topic['compute']): Topic {
    const replies = new Set<FastifyReply>()
    const loop = every(
      () => EVERY_MS,
      () => tell(topic),
      {
        onError: (error) => log.debug({ error: describeError(error) }, 'a live page has nothing new'),
      },
    )
    const topic: Topic = { compute, replies, loop, last: '' }
    topics.set(name, topic)
    return topic
  }

  async function tell(topic: Topic): Promise<void> {
    const message = messageOf(await topic.compute())
    if (message === topic.last) return
    topic.last = message
    for (const reply of topic.replies) reply.raw.write(message)
  }

  return {
    stream(name, compute, reply) {
      if (streams.size >= MOST_STREAMS) return false
      reply.hijack()
      // Fastify does not send the headers of a reply that it has given away.
      for (const [header, value] of Object.entries(reply.getHeaders())) {
        if (value !== undefined) reply.raw.setHeader(header, value)
      }
      reply.raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      const topic = topics.get(name) ?? begin(name, compute)
      topic.replies.add(reply)
      streams.add(reply)
      reply.raw.write(topic.last === '' ? ': welcome\n\n' : topic.last)
      reply.raw.once('close', () => {
        streams.delete(reply)
        topic.replies.delete(reply)
        if (topic.replies.size > 0 || topics.get(name) !== topic) return
        topics.delete(name)
        void topic.loop[Symbol.asyncDispose]()
      })
      return true
    },
    async [Symbol.asyncDispose]() {
      clearInterval(heartbeat)
      for (const reply of streams) reply.raw.end()
      await Promise.all([...topics.values()].map(({ loop }) => loop[Symbol.asyncDispose]()))
    },
  }
}

function messageOf(html: Html): string {
  const lines = html.toString().split(/\r\n|\n|\r/)
  return `${lines.map((line) => `data: ${line}\n`).join('')}\n`
}
