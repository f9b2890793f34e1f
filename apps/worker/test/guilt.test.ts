import { openQueue, shardPrefix } from '@sluice/shared/queue'
import { createLog, createMetrics } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import {
  createWorld,
  type Door,
  eventually,
  openDoor,
  openWorker,
  WAYS,
  type Way,
  type World,
} from '@sluice/testkit/world'
import { startWorker } from '@sluice/worker'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'

let world: World
let door: Door
let stack: AsyncDisposableStack

async function open(way: Way): Promise<void> {
  stack = new AsyncDisposableStack()
  world = stack.use(await createWorld(way))
  door = stack.use(await openDoor(world))
}

const landed = async () =>
  (await world.rows<{ event_id: string }>('select event_id from events')).map(({ event_id }) => event_id)
const letters = () => world.rows('select reason, error_class, event_id from dead_letters')
const post = (bytes: Buffer) => door.post(bytes as Buffer<ArrayBuffer>)

/** Before each change of `table`, where `when` holds, Postgres raises this. */
const raising = (code: string, table = 'events', when = 'true') => `
  create function refuse() returns trigger language plpgsql as $$
    begin if ${when} then raise exception 'refused' using errcode = '${code}'; end if; return new; end $$;
  create constraint trigger refuse after insert or update on ${table} deferrable initially immediate
    for each row execute function refuse()`
const TRIGGER_GONE = 'drop function refuse cascade'
const deferred = (sql: string) => sql.replace('initially immediate', 'initially deferred')

describe('a failure of every event uses up no attempt and buries none', () => {
  afterEach(() => stack.disposeAsync())

  it.each<[string, Way, string, string]>([
    [
      'a column that got a constraint',
      'redis',
      `alter table events add constraint none check (kind = 'none') not valid`,
      'alter table events drop constraint none',
    ],
    [
      'a further column that must not be null',
      'inbox',
      'alter table events add column further text not null',
      'alter table events drop column further',
    ],
    [
      'a column of another type',
      'redis',
      `alter table events alter column duplicates drop default, alter column duplicates type text[] using '{}'`,
      `alter table events alter column duplicates type int using 0, alter column duplicates set default 0`,
    ],
    ['a trigger that raises', 'inbox', raising('P0001'), TRIGGER_GONE],
    ['a trigger that raises at the commit', 'redis', deferred(raising('P0001')), TRIGGER_GONE],
    ['a trigger of the journeys', 'inbox', raising('XX000', 'journeys'), TRIGGER_GONE],
    ['an answer as poolers give it', 'redis', raising('08P01'), TRIGGER_GONE],
    ['a time limit', 'inbox', raising('57014'), TRIGGER_GONE],
  ])('%s, by the %s', async (_name, way, spoil, heal) => {
    await open(way)
    const worker = stack.use(await openWorker(world))
    const first = finishedJourney()
    await post(first.bytes)
    await eventually(async () => (await landed()).length === 1)
    // A new column without a default asks for an empty table.
    await world.rows('truncate events, journeys')
    await world.rows(spoil)

    const events = Array.from({ length: 10 }, () => finishedJourney())
    // More come while it lasts, so that a batch fails now and then.
    await eventually(async () => {
      if (events.length < 60) events.push(finishedJourney())
      await Promise.all(events.slice(sent).map(({ bytes }) => post(bytes)))
      sent = events.length
      return !worker.health().ready
    })
    expect(await attemptsUsed()).toEqual({ waiting: events.length, attempts: 0 })
    expect(await letters()).toEqual([])

    await world.rows(heal)
    await eventually(async () => (await landed()).length === events.length, 40_000)
    expect(await letters()).toEqual([])
    expect(await world.rows('select 1 from events where body is null')).toEqual([])
  })
  let sent = 0
  afterEach(() => {
    sent = 0
  })
})

describe.each(WAYS)('a failure of some events, by the %s', (way) => {
  afterEach(() => stack.disposeAsync())

  it('lets events wait if their content is not the cause, while others land', async () => {
    await open(way)
    const worker = stack.use(await openWorker(world))
    await world.rows(raising('23514', 'events', `new.system_decision = 'Refer'`))
    const refused = Array.from({ length: 5 }, () => finishedJourney({ systemDecision: 'Refer' }))
    for (const { bytes } of refused) await post(bytes)
    const others = Array.from({ length: 20 }, () => finishedJourney())
    for (const { bytes } of others) await post(bytes)

    await eventually(async () => (await landed()).length === 20)
    expect(worker.health().ready).toBe(true)
    expect(await attemptsUsed()).toEqual({ waiting: 5, attempts: 0 })
    expect(await letters()).toEqual([])

    await world.rows(TRIGGER_GONE)
    await eventually(async () => (await landed()).length === 25, 40_000)
  })

  it('buries the event whose content is the cause, with the reason, and counts an attempt if the code is unknown', async () => {
    await open(way)
    stack.use(await openWorker(world))
    await world.rows(raising('22P02', 'events', `new.reference_no = 'poison'`))
    const poison = finishedJourney({ referenceNo: 'poison' })
    await post(poison.bytes)
    await eventually(async () => (await letters()).length === 1)
    expect(await letters()).toEqual([
      { reason: 'rejected_by_database', error_class: 'error 22P02', event_id: poison.eventId },
    ])

    await world.rows(TRIGGER_GONE)
    await world.rows(raising('XX000', 'events', `new.reference_no = 'poison'`))
    await post(finishedJourney({ referenceNo: 'poison' }).bytes)
    await eventually(async () => (await attemptsUsed()).attempts > 0)
    expect(await letters()).toHaveLength(1)
  })

  it('buries it although Postgres refuses a probe event by chance, and says of no kind that all wait', async () => {
    await open(way)
    const lines: string[] = []
    const log = createLog('test', 'warn', { write: (line) => void lines.push(JSON.parse(line).msg) })
    stack.use(await startWorker(world.workerConfig, { log, metrics: createMetrics() }))
    await world.rows(
      `alter table events add constraint refusing check (reference_no not in ('poison', 'probe'))`,
    )
    const poison = finishedJourney({ referenceNo: 'poison' })
    const good = Array.from({ length: 5 }, () => finishedJourney())
    for (const { bytes } of [poison, ...good]) await post(bytes)
    await eventually(async () => (await letters()).length === 1 && (await landed()).length === 5)
    expect(await letters()).toMatchObject([{ reason: 'rejected_by_database', event_id: poison.eventId }])
    expect(lines).not.toContain('Postgres refuses every event of this kind; they wait')
  })

  it('lets an event wait that can be neither landed nor buried', async () => {
    await open(way)
    stack.use(await openWorker(world))
    await world.rows(`alter table events add constraint no_poison check (reference_no <> 'poison')`)
    await world.rows('alter table dead_letters rename to dead_letters_away')
    await post(finishedJourney({ referenceNo: 'poison' }).bytes)
    const good = finishedJourney()
    await post(good.bytes)
    await eventually(async () => (await landed()).includes(good.eventId))
    await world.rows('alter table dead_letters_away rename to dead_letters')
    await eventually(async () => (await letters()).length === 1, 30_000)
    expect(await letters()).toMatchObject([{ reason: 'rejected_by_database' }])
  })
})

it('a worker that loses its rights lets events wait, and lands them when it has its rights again', async () => {
  await open('inbox')
  const role = `worker_${world.queuePrefix}`
  await world.rows(`create role ${role} login password 'x';
    grant all on all tables in schema public to ${role}; grant all on all sequences in schema public to ${role};
    grant usage on schema public to ${role}`)
  stack.defer(async () => {
    await world.rows(`drop owned by ${role}`)
    await world.rows(`drop role ${role}`)
  })
  const url = new URL(world.databaseUrl)
  Object.assign(url, { username: role, password: 'x' })
  const worker = stack.use(await openWorker(world, { databaseUrl: url.href }))
  await post(finishedJourney().bytes)
  await eventually(async () => (await landed()).length === 1)

  await world.rows(`revoke insert on journeys from ${role}`)
  await eventually(async () => {
    await post(finishedJourney().bytes)
    return !worker.health().ready
  })
  const { waiting, attempts } = await attemptsUsed()
  expect(attempts).toBe(0)
  expect(await letters()).toEqual([])

  await world.rows(`grant insert on journeys to ${role}`)
  await eventually(async () => (await landed()).length === 1 + waiting, 40_000)
  await stack.disposeAsync()
})

/** Over both stores: events that wait, and attempts that they have used. */
async function attemptsUsed(): Promise<{ waiting: number; attempts: number }> {
  const [inbox] = await world.rows<{ waiting: number; attempts: number }>(
    'select count(*)::int as waiting, coalesce(sum(attempts), 0)::int as attempts from inbox',
  )
  const client = new Redis(world.redisUrl)
  const queue = openQueue(client, shardPrefix(world.queuePrefix, 0))
  const jobs = await queue.getJobs(['waiting', 'delayed', 'active'])
  await queue.close()
  client.disconnect()
  return {
    waiting: jobs.length + (inbox?.waiting ?? 0),
    attempts: jobs.reduce((sum, job) => sum + (job?.attemptsMade ?? 0), inbox?.attempts ?? 0),
  }
}
