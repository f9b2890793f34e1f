import type { MinuteRow } from '../../db/index.ts'

/** What goes on minute after minute, up to now. */
export type Streaks = {
  /** Requests of known senders in a row with wrong credentials, of each environment that was accepted before. */
  readonly credentials: Readonly<Record<string, { readonly requests: number; readonly since: Date }>>
  /** Since when events went to the inbox of an ingest that has Redis, and none to Redis alone in a minute. */
  readonly inbox: { readonly since: Date; readonly last: Date } | null
}

type Minute = {
  at: number
  inbox: number
  redis: number
  answers: Map<string, { ok: number; wrong: number }>
}

/** @param rows of the last hour */
export function streaksOf(rows: readonly MinuteRow[], hasRedis: boolean): Streaks {
  const minutes = sumMinutes(rows)
  const environments = Object.keys(Object.assign({}, ...rows.map(({ counters }) => counters.last)))
  const credentials = environments.flatMap((environment) => {
    const streak = { requests: 0, since: 0 }
    for (const { at, answers } of minutes) {
      const { ok = 0, wrong = 0 } = answers.get(environment) ?? {}
      if (ok > 0) break
      if (wrong > 0) Object.assign(streak, { requests: streak.requests + wrong, since: at })
    }
    const { requests, since } = streak
    return requests > 0 ? [[environment, { requests, since: new Date(since) }] as const] : []
  })
  const untilRedis = minutes.findIndex(({ inbox, redis }) => inbox === 0 && redis > 0)
  const toInbox = minutes
    .slice(0, untilRedis < 0 ? undefined : untilRedis)
    .flatMap(({ at, inbox }) => (inbox > 0 ? new Date(at) : []))
  const [last, since = last] = [toInbox[0], toInbox.at(-1)]
  return {
    credentials: Object.fromEntries(credentials),
    inbox: hasRedis && last && since ? { since, last } : null,
  }
}

/** The newest minute first. */
function sumMinutes(rows: readonly MinuteRow[]): Minute[] {
  const minutes = new Map<number, Minute>()
  for (const { minute, counters } of rows) {
    const at = minute.getTime()
    const sum = minutes.get(at) ?? { at, inbox: 0, redis: 0, answers: new Map() }
    minutes.set(at, sum)
    for (const [name, count] of Object.entries(counters.counts)) {
      const [metric, label = '', outcome = ''] = name.split(' ')
      if (metric === 'enqueued' && (label === 'inbox' || label === 'redis')) sum[label] += count
      const { ok, wrong } = sum.answers.get(label) ?? { ok: 0, wrong: 0 }
      if (metric === 'wrongSecrets') sum.answers.set(label, { ok, wrong: wrong + count })
      if (metric === 'answers' && outcome === 'accepted') sum.answers.set(label, { ok: ok + count, wrong })
    }
  }
  return [...minutes.values()].sort((a, b) => b.at - a.at)
}
