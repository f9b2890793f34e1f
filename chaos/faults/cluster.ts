import { setTimeout as pause } from 'node:timers/promises'
import { shardPrefix } from '@sluice/shared/queue'
import { moveSlot } from '@sluice/testkit/redis-cluster'
import type { RedisServer } from '@sluice/testkit/redis-server'
import { QUEUE_PREFIX, type World } from '../world.ts'
import type { Fault } from './fault.ts'

/** Longer than the other nodes take to promote a replica (`cluster-node-timeout` is 2 s). */
const AWAY_MS = 5_000
const MOVES = 6

/** Hurts one node after the other, masters and replicas, each long enough for its replica to take over. */
function eachNode(
  hurt: (world: World, node: RedisServer) => Promise<unknown>,
  heal: (world: World, node: RedisServer) => Promise<unknown>,
): Pick<Fault, 'world' | 'seconds' | 'inject' | 'heal'> {
  return {
    world: { cluster: true },
    seconds: 6 * 8,
    async inject(world) {
      for (const node of world.cluster.nodes) {
        await hurt(world, node)
        await pause(AWAY_MS)
        await heal(world, node)
        world.trace('nodes')
        // The next one needs a replica that has caught up.
        await pause(3_000)
      }
    },
    async heal(world) {
      for (const node of world.cluster.nodes) await heal(world, node)
    },
  }
}

export const clusterFaults: readonly Fault[] = [
  {
    id: 'C01',
    mayOvercount: true,
    name: 'Redis Cluster: each of six nodes kill -9 in turn, back after 5 s',
    ...eachNode(
      (_, node) => node.kill(),
      async (_, node) => {
        if (!node.isRunning) await node.start()
      },
    ),
    effect: { nodes: 6, viaRedis: 1_000, viaInbox: 20 },
  },
  {
    id: 'C02',
    mayOvercount: true,
    name: 'Redis Cluster: each of six nodes hangs for 5 s in turn (SIGSTOP)',
    ...eachNode(
      async (_, node) => node.signal('SIGSTOP'),
      async (_, node) => node.signal('SIGCONT'),
    ),
    effect: { nodes: 6, viaRedis: 1_000, viaInbox: 20 },
  },
  {
    id: 'C03',
    mayOvercount: true,
    name: 'Redis Cluster: each of six nodes is cut off from the others for 5 s in turn, and not from its clients',
    ...eachNode(
      (world, node) => world.cluster.cutOff(node),
      async (world) => world.cluster.restore(),
    ),
    effect: { nodes: 6, viaRedis: 1_000 },
  },
  {
    id: 'C04',
    name: 'Redis Cluster: slots of the queue move to other masters, a few keys at a time, while they are full',
    world: { cluster: true },
    times: 2,
    seconds: 30,
    async inject(world) {
      const { cluster, fleet } = world
      for (let n = 0; n < MOVES; n++) {
        const slot = await cluster.slotOf(shardPrefix(QUEUE_PREFIX, n))
        const from = await cluster.ownerOf(slot)
        const masters = cluster.nodes.slice(0, 3)
        const to = masters[(masters.indexOf(from) + 1) % masters.length] as RedisServer
        // The shard fills while the workers are stopped, and they return in the middle of the move.
        const workers = fleet.workers().map(({ running }) => running)
        for (const worker of workers) worker.kill('SIGSTOP')
        await pause(1_000)
        const moving = moveSlot(cluster, slot, to, { keys: 5, betweenMs: 10 })
        for (const worker of workers) worker.kill('SIGCONT')
        world.trace('moved', await moving)
      }
    },
    heal: async ({ fleet }) => {
      for (const { running } of fleet.workers()) running.kill('SIGCONT')
    },
    effect: { moved: 500, viaRedis: 1_000 },
  },
]
