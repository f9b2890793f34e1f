import { discardDeadLetter, replayDeadLetter } from '@sluice/shared/db'
import { createWorld, eventually, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, expect, it } from 'vitest'

let world: World
const stack = new AsyncDisposableStack()
beforeAll(async () => {
  world = stack.use(await createWorld('inbox'))
})
afterAll(() => stack.disposeAsync())

/** A dead letter that is being replayed, with its row in the inbox. */
async function replaying(): Promise<number> {
  const [letter] = await world.rows<{ id: string }>(
    `insert into dead_letters (job_id, reason, error_class, error_message, fingerprint, attempts, raw, envelope)
      values (gen_random_uuid()::text, 'unreadable', 'Error', 'x', 'x', 1, 'x', 'no envelope') returning id`,
  )
  const id = Number(letter?.id)
  expect(await replayDeadLetter(world.db, { id, actor: 'test' })).toEqual({ kind: 'done' })
  return id
}
const loseRow = (id: number) => world.rows('delete from inbox where replay_of = $1', [id])
const stateOf = async (id: number) =>
  (await world.rows<{ state: string }>('select state from dead_letters where id = $1', [id]))[0]?.state

it('a dead letter whose replay has lost its inbox row can be replayed again, and the replay ends', async () => {
  const id = await replaying()
  await loseRow(id)
  expect(await replayDeadLetter(world.db, { id, actor: 'test' })).toEqual({ kind: 'done' })
  await using _worker = await openWorker(world)
  await eventually(async () => (await stateOf(id)) === 'open')
})

it('a dead letter whose replay has lost its inbox row can be discarded', async () => {
  const id = await replaying()
  await loseRow(id)
  expect(await discardDeadLetter(world.db, { id, actor: 'test' })).toEqual({ kind: 'done' })
})

it('a replay that waits, or that a worker has claimed, cannot be acted on', async () => {
  const id = await replaying()
  const refused = { kind: 'not_open', state: 'replaying' }
  expect(await discardDeadLetter(world.db, { id, actor: 'test' })).toEqual(refused)
  const claimed = await world.db.pool.connect()
  try {
    await claimed.query('begin')
    await claimed.query('delete from inbox where replay_of = $1', [id])
    expect(await discardDeadLetter(world.db, { id, actor: 'test' })).toEqual(refused)
    expect(await replayDeadLetter(world.db, { id, actor: 'test' })).toEqual(refused)
    await claimed.query('rollback')
  } finally {
    claimed.release()
  }
})
