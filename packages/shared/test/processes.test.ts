import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { announceProcess, checkProcesses, describeProcess } from '../src/db/index.ts'
import { createLog } from '../src/runtime/index.ts'

describe('processes on one database', () => {
  let stack: AsyncDisposableStack
  let world: World
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('redis'))
  })
  afterEach(() => stack.disposeAsync())

  type Queue = Parameters<typeof describeProcess>[1]
  async function run(app: 'ingest' | 'worker', queue: Queue): Promise<AsyncDisposable> {
    const before = await count()
    const log = createLog('test', 'silent')
    const announced = stack.use(announceProcess(world.db, describeProcess(app, queue), log))
    await eventually(async () => (await count()) > before)
    return announced
  }
  const count = async () => (await world.rows('select from processes')).length
  const found = async () => (await checkProcesses(world.db)).map(({ level, text }) => [level, text])

  const a = (shards: number, consume?: number[]) => ({ prefix: 'a', shards, ...(consume && { consume }) })

  it('are warned if no worker runs, and counted if all fit together', async () => {
    expect(await found()).toEqual([['warn', 'no worker runs']])
    await run('ingest', a(2))
    await run('worker', a(2, [0]))
    await run('worker', a(2, [1]))
    await run('ingest', undefined)
    expect(await found()).toEqual([['ok', 'ingests 2, workers 2: each queue that is filled has a worker']])
  })

  it('are warned of different numbers of shards, with the values of both', async () => {
    await run('ingest', a(2))
    const worker = await run('worker', a(4))
    expect(await found()).toEqual([
      ['warn', 'QUEUE_SHARDS under QUEUE_PREFIX a is 2 for ingests and 4 for workers'],
    ])
    await worker[Symbol.asyncDispose]()
    await run('worker', a(1))
    expect(await found()).toEqual([
      [
        'fail',
        'QUEUE_SHARDS under QUEUE_PREFIX a is 2 for ingests and 1 for workers: no worker consumes shard 1',
      ],
    ])
  })

  it('are warned of shards that no worker consumes', async () => {
    await run('ingest', a(12))
    await run('worker', a(12, [0, 1, 2, 3, 4, 5, 6, 7, 10]))
    expect(await found()).toEqual([
      [
        'fail',
        'of 12 shards under QUEUE_PREFIX a workers consume 0, 1, 2, 3, 4, 5, 6, 7, 10: no worker consumes shard 8, 9, 11',
      ],
    ])
  })

  it.each([
    ['b', { prefix: 'b', shards: 1 }],
    ['the inbox alone', undefined],
  ])(
    'are warned of an ingest whose queue no worker consumes, while workers consume %s',
    async (others, queue) => {
      await run('ingest', a(1))
      await run('worker', queue)
      const text = `no worker consumes the queue of an ingest, whose QUEUE_PREFIX is a; that of the workers is ${others}`
      expect(await found()).toEqual([['fail', text]])
      // A process that asks counts itself, also before it has announced itself.
      expect(await checkProcesses(world.db, describeProcess('worker', a(1)))).toEqual([])
    },
  )

  it('do not count a process that was not seen for a minute, and delete it after a day', async () => {
    await world.rows(`insert into processes (id, app, release, queue_prefix, queue_shards, shards, seen_at) values
      ('minute', 'worker', '0', 'a', 4, '{0,1,2,3}', now() - interval '61 s'),
      ('day', 'worker', '0', 'a', 4, '{0,1,2,3}', now() - interval '25 h')`)
    expect(await found()).toEqual([['warn', 'no worker runs']])
    stack.use(announceProcess(world.db, describeProcess('worker', a(2)), createLog('test', 'silent')))
    await eventually(async () => (await found())[0]?.[0] === 'ok')
    expect(await world.rows(`select id from processes where release = '0'`)).toEqual([{ id: 'minute' }])
  })

  it('are an ingest and a worker as soon as they start, and none when they have ended', async () => {
    const door = await openDoor(world)
    const worker = await openWorker(world)
    const rows = await eventually(async () => {
      const all = await world.rows('select app, release, queue_prefix, queue_shards, shards from processes')
      return all.length === 2 && all
    })
    const common = {
      release: expect.stringMatching(/^\d+\.\d+\.\d+/),
      queue_prefix: world.queuePrefix,
      queue_shards: 1,
    }
    expect(rows).toEqual(
      expect.arrayContaining([
        { ...common, app: 'ingest', shards: null },
        { ...common, app: 'worker', shards: [0] },
      ]),
    )
    await Promise.all([door, worker].map((opened) => opened[Symbol.asyncDispose]()))
    expect(await count()).toBe(0)
  })
})
