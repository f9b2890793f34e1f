import { countCrashes, noteClaim, takeInbox } from '@sluice/shared/db'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, type Door, openDoor, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDrain, type Drain } from '../src/drain.ts'
import { createLandingDeps } from '../src/land.ts'
import { createPostgresCircuit } from '../src/postgres-circuit.ts'

describe('rows of the inbox that were under way when their worker crashed', () => {
  let world: World
  let door: Door
  let stack: AsyncDisposableStack

  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('inbox'))
    door = stack.use(await openDoor(world))
    for (let i = 0; i < 5; i++) await door.post(finishedJourney().bytes as Buffer<ArrayBuffer>)
  })
  afterEach(() => stack.disposeAsync())

  function openDrain(): Drain {
    const log = createLog('test', 'error')
    const circuit = createPostgresCircuit({ probe: async () => {}, onOpen() {}, onClose() {}, log })
    return createDrain(createLandingDeps({ db: world.db, circuit, metrics: createMetrics(), log }), 'test')
  }
  const jobIds = async () =>
    (await world.rows<{ job_id: string }>('select job_id from inbox order by job_id')).map(
      (row) => row.job_id,
    )
  const crashes = async () =>
    (await world.rows<{ crashes: number }>('select crashes from inbox order by job_id')).map(
      (row) => row.crashes,
    )

  /** A worker that has noted what it takes, and died half a minute ago. */
  async function crashWith(ids: readonly string[]): Promise<void> {
    await noteClaim(world.db.pool, 'dead', ids)
    await world.rows(`update inbox_claims set claimed_at = now() - interval '30 seconds'`)
    await countCrashes(world.db.pool, 20_000)
  }

  it('are counted, others are not, and each crash once', async () => {
    const [first, second] = (await jobIds()) as [string, string]
    await crashWith([first, second])
    await countCrashes(world.db.pool, 20_000)
    expect(await crashes()).toEqual([1, 1, 0, 0, 0])
  })

  it('are not counted while their worker lives and holds them', async () => {
    await world.db.transaction(async (connection) => {
      const rows = await takeInbox(connection, 10)
      await crashWith(rows.map(({ jobId }) => jobId))
      expect(await crashes()).toEqual([0, 0, 0, 0, 0])
    })
  })

  it('are taken alone after two crashes, when nothing else waits', async () => {
    const ids = await jobIds()
    await crashWith(ids.slice(0, 2))
    await crashWith(ids.slice(0, 2))
    const drain = openDrain()
    expect((await drain(0)).taken).toBe(3)
    expect((await drain(0)).taken).toBe(1)
    expect((await drain(0)).taken).toBe(1)
    expect((await world.rows('select 1 from events')).length).toBe(5)
  })

  it('become dead letters after more than ten, and their neighbours land', async () => {
    const [poison] = (await jobIds()) as [string]
    for (let i = 0; i < 11; i++) await crashWith([poison])
    const drain = openDrain()
    for (let i = 0; i < 3; i++) await drain(0)
    expect(await world.rows('select reason, job_id from dead_letters')).toEqual([
      { reason: 'worker_crashed', job_id: poison },
    ])
    expect((await world.rows('select 1 from events')).length).toBe(4)
    expect(await jobIds()).toEqual([])
  })
})
