import { hash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createQueueProducer } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { finishedJourney } from '@sluice/testkit/event'
import { createRedisCluster } from '@sluice/testkit/redis-cluster'
import { createWorld, type Door, eventually, openDoor, openWorker } from '@sluice/testkit/world'
import { expect, test } from 'vitest'

const SHARDS = 6

/** Posts events of many journeys, some at once, until disposed. */
function stream(door: Door) {
  const answered: { eventId: string }[] = []
  const statuses = new Set<number>()
  let going = true
  async function postAll(): Promise<void> {
    while (going) {
      const { eventId, bytes } = finishedJourney()
      const { status } = await door.post(bytes)
      statuses.add(status)
      if (status === 200) answered.push({ eventId })
    }
  }
  const posting = Promise.all(Array.from({ length: 12 }, postAll))
  return {
    answered,
    statuses,
    async [Symbol.asyncDispose]() {
      going = false
      await posting
    },
  }
}

test('a master that dies takes its own shards to the inbox, the others go on, and nothing is lost or lands twice', async () => {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'sluice-cluster-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const cluster = stack.use(await createRedisCluster(dir, { masters: 3, replicas: 1 }))
  const world = stack.use(await createWorld('redis', { redisUrl: cluster.url, shards: SHARDS }))
  const door = stack.use(await openDoor(world))
  const queue = { url: cluster.url, prefix: world.queuePrefix, shards: SHARDS }
  const observer = stack.use(createQueueProducer(queue, createLog('test', 'silent')))
  await eventually(() => observer.health === 'up')
  const owners = await Promise.all(
    Array.from({ length: SHARDS }, async (_, shard) =>
      cluster.ownerOf(await cluster.slotOf(`{${world.queuePrefix}-${shard}}`)),
    ),
  )
  const victim = owners[0]
  const isVictims = (journeyId: string) =>
    owners[hash('sha256', journeyId, 'buffer').readUInt32BE() % SHARDS] === victim

  const { answered, statuses } = await (async () => {
    await using load = stream(door)
    await eventually(() => load.answered.length > 200)
    const killedAt = load.answered.length
    await victim?.kill()
    await eventually(
      () => observer.health === `${owners.filter((owner) => owner === victim).length} of 6 shards down`,
    )
    await eventually(() => observer.health === 'up')
    const promotedAt = load.answered.length
    await eventually(() => load.answered.length > promotedAt + 500)
    expect(promotedAt).toBeGreaterThan(killedAt)
    return load
  })()
  expect([...statuses]).toEqual([200])
  const inbox = await world.rows<{ envelope: string }>('select envelope from inbox')
  const detours = inbox.map(({ envelope }) => JSON.parse(JSON.parse(envelope).raw).body.journeyId as string)
  expect(detours.filter(isVictims).length).toBeGreaterThan(0)
  expect(detours.filter((journeyId) => !isVictims(journeyId)).length).toBeLessThan(answered.length / 20)

  stack.use(await openWorker(world))
  await eventually(async () => {
    const [row] = await world.rows<{ n: number }>('select count(*)::int as n from events')
    return row?.n === answered.length
  })
  const landed = await world.rows<{ event_id: string }>('select event_id from events')
  expect(new Set(landed.map((row) => row.event_id))).toEqual(new Set(answered.map(({ eventId }) => eventId)))
  await eventually(async () => (await world.rows('select 1 from inbox')).length === 0)
})
