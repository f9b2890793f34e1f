import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDb } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { finishedJourney, inParallel } from '@sluice/testkit/event'
import { eventually } from '@sluice/testkit/eventually'
import { expect, it } from 'vitest'
import { makeClone, postTo } from './clone.ts'

it.each([
  ['a private Redis', []],
  ['the inbox alone', ['--no-redis']],
])(
  'sluice start, by %s, killed with SIGKILL under load and started again, has every event that it answered 200',
  async (_, args) => {
    await using clone = await makeClone()
    const first = clone.start({ args })
    const webhooks = await first.ready()
    const events = Array.from({ length: 1_500 }, () => finishedJourney())
    const acknowledged = new Set<string>()
    const sending = inParallel(events, 32, async ({ eventId, bytes }) => {
      if ((await postTo(webhooks, bytes).catch(() => 0)) === 200) acknowledged.add(eventId)
    })
    await eventually(() => acknowledged.size > 300)

    first.kill('SIGKILL')
    await sending
    const again = await clone.start({ args }).ready()
    expect(again.token).toBe(webhooks.token)
    const rest = events.filter(({ eventId }) => !acknowledged.has(eventId))
    expect(rest.length).toBeGreaterThan(0)
    await inParallel(rest, 32, async ({ bytes }) => expect(await postTo(again, bytes)).toBe(200))

    const env = readFileSync(join(clone.dir, '.sluice/env'), 'utf8')
    const url = /DATABASE_URL='([^']+)'/.exec(env)?.[1] as string
    const log = createLog('test', 'fatal')
    await using db = createDb(url, { max: 1, statementMs: 10_000, log, name: 'test' })
    const rows = await eventually(async () => {
      const found = await db.pool.query('select event_id from events')
      return found.rows.length >= events.length && found.rows
    }, 100_000)
    expect(new Set(rows.map(({ event_id }) => event_id))).toEqual(
      new Set(events.map(({ eventId }) => eventId)),
    )
  },
  180_000,
)
