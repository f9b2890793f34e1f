import { describeError, every, type Log } from '@sluice/shared/runtime'
import type { FastifyReply } from 'fastify'
import { Problem } from './errors.ts'
import type { Html } from './html.ts'

const EVERY_MS = 1_000
const HEARTBEAT_MS = 15_000
/** How often it is looked whether a person may still see the page. */
const LOOK_MS = 2_000
const MOST_STREAMS = 50
/** A client that has so much to read does not read. */
const MOST_UNREAD_BYTES = 1 << 20

/**
 * Server-sent events. What a topic shows is computed once a second for all of its streams, and only while there is
 * one: no open page asks the stores anything by itself.
 */
export type Live = AsyncDisposable & {
  /**
   * Answers with a stream of what `compute` returns, each time that it has changed. It ends with the person's session.
   *
   * @param topic the same for all pages that show the same
   * @throws Problem if there are 50 streams already
   */
  stream(topic: string, compute: () => Promise<Html>, reply: FastifyReply): void
}

type Topic = {
  readonly replies: Set<FastifyReply>
  last: string
  loop?: AsyncDisposable
}

export function createLive(log: Log): Live {
  const topics = new Map<string, Topic>()
  const streams = new Set<FastifyReply>()
  const heartbeat = setInterval(() => {
    for (const reply of streams) write(reply, ': still here\n\n')
  }, HEARTBEAT_MS).unref()
  const look = setInterval(() => {
    for (const reply of streams) if (!reply.request.mayStay()) reply.raw.end()
  }, LOOK_MS).unref()

  function begin(name: string, compute: () => Promise<Html>): Topic {
    const topic: Topic = { replies: new Set(), last: '' }
    topics.set(name, topic)
    topic.loop = every(
      () => EVERY_MS,
      async () => {
        const message = messageOf(await compute())
        if (message === topic.last) return
        topic.last = message
        for (const reply of topic.replies) write(reply, message)
      },
      {
        onError: (error) => log.debug({ error: describeError(error) }, 'a live page has nothing new'),
      },
    )
    return topic
  }

  return {
    stream(name, compute, reply) {
      const { request, raw } = reply
      // Somebody who has gone already would keep the place for ever.
      if (request.method === 'HEAD' || request.socket.destroyed || raw.destroyed) {
        reply.send()
        return
      }
      if (streams.size >= MOST_STREAMS)
        throw new Problem(503, `There are ${MOST_STREAMS} live pages already.`)
      reply.hijack()
      // Fastify does not send the headers of a reply that it has given away.
      for (const [header, value] of Object.entries(reply.getHeaders())) {
        if (value !== undefined) raw.setHeader(header, value)
      }
      raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      const topic = topics.get(name) ?? begin(name, compute)
      topic.replies.add(reply)
      streams.add(reply)
      raw.once('close', () => {
        streams.delete(reply)
        topic.replies.delete(reply)
        if (topic.replies.size > 0 || topics.get(name) !== topic) return
        topics.delete(name)
        void topic.loop?.[Symbol.asyncDispose]()
      })
      write(reply, topic.last === '' ? ': welcome\n\n' : topic.last)
    },
    async [Symbol.asyncDispose]() {
      clearInterval(heartbeat)
      clearInterval(look)
      for (const reply of streams) reply.raw.end()
      await Promise.all([...topics.values()].map(({ loop }) => loop?.[Symbol.asyncDispose]()))
    },
  }
}

function write({ raw }: FastifyReply, message: string): void {
  if (raw.writableLength > MOST_UNREAD_BYTES) raw.destroy()
  else raw.write(message)
}

function messageOf(html: Html): string {
  const lines = html.toString().split(/\r\n|\n|\r/)
  return `${lines.map((line) => `data: ${line}\n`).join('')}\n`
}
