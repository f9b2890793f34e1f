import { describeError, every, type Log } from '@sluice/shared/runtime'
import type { FastifyReply } from 'fastify'
import { describeProblem } from './errors.ts'
import type { Html } from './html.ts'

const EVERY_MS = 1_000
/** Topics are computed so far apart at least: many pages that show different things ask no more than this. */
const APART_MS = 100
const HEARTBEAT_MS = 15_000
/** How often it is looked whether a person may still see the page. */
const LOOK_MS = 2_000
const MOST_STREAMS = 50
/** How long a page waits until it asks for its stream again, and if there was no place for it. */
const RETRY_MS = 500
const FULL_RETRY_MS = 5_000
/** A client that has so much to read does not read. */
const MOST_UNREAD_BYTES = 1 << 20

/**
 * Server-sent events. What a topic shows is computed once a second (more seldom with many topics) for all of its
 * streams, and only while there is one: no open page asks the stores anything by itself.
 */
export type Live = AsyncDisposable & {
  /**
   * Answers with a stream of what `compute` returns, each time that it has changed. It ends with the person's session.
   * If there are 50 streams already it says so, ends, and is asked for again.
   *
   * @param topic the same for all pages that show the same
   */
  stream(topic: string, compute: () => Promise<Html>, reply: FastifyReply): void
}

type Topic = {
  readonly replies: Set<FastifyReply>
  last: string
  /** What cannot be shown now, as an event for the page; empty if all is well. */
  problem: string
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
    const topic: Topic = { replies: new Set(), last: '', problem: '' }
    topics.set(name, topic)
    topic.loop = every(
      () => pauseMs(topics.size),
      async () => {
        const message = messageOf(await compute())
        if (topic.problem !== '') {
          topic.problem = ''
          for (const reply of topic.replies) write(reply, eventOf('sluice-back', ''))
        }
        if (message === topic.last) return
        topic.last = message
        for (const reply of topic.replies) write(reply, message)
      },
      {
        onError(error) {
          log.debug({ error: describeError(error) }, 'a live page has nothing new')
          const problem = eventOf('sluice-away', describeProblem(error).words)
          if (problem === topic.problem) return
          topic.problem = problem
          for (const reply of topic.replies) write(reply, problem)
        },
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
      if (streams.size >= MOST_STREAMS) {
        // As an answer of its own, htmx would put it in place of what the page shows, and not ask again.
        const full = eventOf('sluice-away', `There are ${MOST_STREAMS} live pages already.`)
        raw.end(`retry: ${FULL_RETRY_MS}\n${full}`)
        return
      }
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
      // The note of a stream before may still be there.
      write(reply, `retry: ${RETRY_MS}\n${topic.problem || eventOf('sluice-back', '')}`)
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

/** How long a topic waits until it is computed again, ms. */
export function pauseMs(topics: number): number {
  return Math.max(EVERY_MS, topics * APART_MS)
}

/** An event that the page's own script hears. */
function eventOf(name: string, line: string): string {
  return `event: ${name}\ndata: ${line}\n\n`
}

function messageOf(html: Html): string {
  const lines = html.toString().split(/\r\n|\n|\r/)
  return `${lines.map((line) => `data: ${line}\n`).join('')}\n`
}
