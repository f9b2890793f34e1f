import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, eventually, openDoor, openWorker } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { readInboxDepth, replayDeadLetter } from '../src/db/index.ts'
import { writeEnvelope } from '../src/envelope.ts'
import { readState } from '../src/operations/index.ts'

it('events that Postgres refuses as a kind are said to be, in its words, and replays are no slow landings', async () => {
  await using world = await createWorld('inbox')
  await using door = await openDoor(world)
  await using _worker = await openWorker(world)
  const stores = { db: world.db, queue: undefined }
  const [letter = 0] = await bury(world, [finishedJourney().bytes])
  await world.rows(`update dead_letters set envelope = regexp_replace(envelope, '"at":\\d+', '"at":1000')`)
  await replayDeadLetter(world.db, { id: letter, actor: 'ada' })
  await world.rows(`create function refuse() returns trigger language plpgsql as $$
      begin if new.system_decision = 'Refer' then raise exception 'no room' using errcode = '23514'; end if;
      return new; end $$;
    create trigger refuse before insert on events for each row execute function refuse()`)
  for (const systemDecision of ['Complete', 'Refer', 'Refer']) {
    await door.post(finishedJourney({ systemDecision }).bytes as Buffer<ArrayBuffer>)
  }

  const refused = await eventually(async () => {
    const state = await readState(stores)
    const { landed } = state.figures.recorded?.flow.lastHour ?? {}
    return state.causes[0]?.kind === 'rejected' && landed === 2 && state
  }, 30_000)
  expect([refused.level, refused.sentence]).toEqual([
    'fail',
    expect.stringMatching(
      /^Postgres refuses every event of the kind Finished Journey: “no room”\. 2 events wait, the oldest for \d+ s\.$/,
    ),
  ])
  const { flow } = refused.figures.recorded as NonNullable<typeof refused.figures.recorded>
  expect(flow.processing?.p99Ms).toBeLessThan(300_000)

  await world.rows('drop function refuse cascade')
  await eventually(async () => (await readState(stores)).level === 'ok', 30_000)
})

it('the age of what waits is that of its receipt, however it was delayed since', async () => {
  await using world = await createWorld('inbox')
  const now = Date.now()
  const insert = (jobId: string, at: number, replayOf: number | null = null) =>
    world.rows(
      `insert into inbox (job_id, envelope, available_at, replay_of) values ($1, $2, now() + interval '1 min', $3)`,
      [jobId, writeEnvelope({ v: 1, env: 'live', at, deliveryId: 'd', raw: '{"at":1}' }), replayOf],
    )
  expect(await readInboxDepth(world.db.pool)).toEqual({
    waiting: { count: 0, isMore: false },
    oldestMs: null,
  })
  await insert('late', now - 60_000)
  await insert('first', now - 600_000)
  await insert('replay', now - 86_400_000, 1)
  const { waiting, oldestMs } = await readInboxDepth(world.db.pool)
  expect([waiting.count, Math.floor((oldestMs ?? 0) / 60_000)]).toEqual([3, 10])
})
