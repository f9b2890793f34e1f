import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createClusterBus } from './cluster-bus.ts'
import { eventually } from './eventually.ts'
import { createRedisServer, type RedisServer } from './redis-server.ts'

/** A Redis Cluster of real nodes on this machine. */
export type RedisCluster = AsyncDisposable & {
  /** The masters first, then their replicas, in the order of their masters. */
  readonly nodes: readonly RedisServer[]
  /** As REDIS_URL has it. */
  readonly url: string
  /** The number of the slot of a key. */
  slotOf(key: string): Promise<number>
  /** The node that serves a slot now. */
  ownerOf(slot: number): Promise<RedisServer>
  /** Until `restore`, nothing passes between this node and the others. Clients still reach it. */
  cutOff(node: RedisServer): Promise<void>
  restore(): void
}

const SLOTS = 16_384
const LIMIT_MS = 30_000

/** Starts `masters` masters, each with `replicas` replicas. */
export async function createRedisCluster(
  dir: string,
  {
    masters = 3,
    replicas = 0,
    settings = {},
  }: { masters?: number; replicas?: number; settings?: Record<string, string> } = {},
): Promise<RedisCluster> {
  await using stack = new AsyncDisposableStack()
  const bus = stack.use(createClusterBus())
  const clustered = {
    'cluster-enabled': 'yes',
    'cluster-node-timeout': '2000',
    'cluster-require-full-coverage': 'no',
    ...settings,
  }
  const nodes: RedisServer[] = []
  for (let n = 0; n < masters * (1 + replicas); n++) {
    nodes.push(stack.use(await createNode(join(dir, `node-${n}`), clustered)))
  }
  const [first] = nodes as [RedisServer]
  for (const [n, node] of nodes.slice(0, masters).entries()) {
    const from = Math.floor((SLOTS * n) / masters)
    const to = Math.floor((SLOTS * (n + 1)) / masters)
    await node.command('CLUSTER', 'SET-CONFIG-EPOCH', n + 1)
    await node.command('CLUSTER', 'ADDSLOTS', ...Array.from({ length: to - from }, (_, slot) => from + slot))
  }
  for (const node of nodes) {
    const busPort = await bus.open(node.port)
    await node.configure('cluster-announce-bus-port', busPort)
    if (node !== first) await first.command('CLUSTER', 'MEET', '127.0.0.1', node.port, busPort)
  }
  const info = async (node: RedisServer) => String(await node.command('CLUSTER', 'INFO'))
  await eachBecomes(nodes, async (node) =>
    new RegExp(`cluster_state:ok[^]*cluster_known_nodes:${nodes.length}\\b`).test(await info(node)),
  )
  for (const [n, node] of nodes.slice(masters).entries()) {
    const master = nodes[n % masters] as RedisServer
    const id = String(await master.command('CLUSTER', 'MYID'))
    // It must know its master first.
    await eachBecomes([node], () => node.command('CLUSTER', 'REPLICATE', id).then(Boolean, () => false))
  }
  await eachBecomes(nodes.slice(masters), async (node) =>
    /master_link_status:up/.test(String(await node.command('INFO', 'replication'))),
  )
  const running = stack.move()
  const password = new URL(first.url).password
  return {
    nodes,
    url: `redis+cluster://:${password}@${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    slotOf: async (key) => Number(await first.command('CLUSTER', 'KEYSLOT', key)),
    async ownerOf(slot) {
      const alive = nodes.find(({ isRunning }) => isRunning) ?? first
      const ranges = (await alive.command('CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
      const [, , [, port]] = ranges.find(([from, to]) => from <= slot && slot <= to) ?? [0, 0, ['', 0]]
      const owner = nodes.find((node) => node.port === port)
      if (!owner) throw new Error(`nobody serves slot ${slot}`)
      return owner
    },
    cutOff: async (node) => bus.cut(node.port, String(await node.command('CLUSTER', 'MYID'))),
    restore: bus.restore,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** The bus of a node is 10,000 ports above it, and must stay below the ports that systems give to clients. */
async function createNode(dir: string, settings: Record<string, string>): Promise<RedisServer> {
  for (let tries = 1; ; tries++) {
    try {
      return await createRedisServer({ dir, port: randomInt(15_000, 22_000), settings })
    } catch (error) {
      if (tries === 5) throw error
    }
  }
}

/** Moves a slot with all of its keys, as `redis-cli --cluster reshard` does. @param keys how many at a time */
export async function moveSlot(
  cluster: RedisCluster,
  slot: number,
  to: RedisServer,
  { keys = 100, betweenMs = 0 }: { keys?: number; betweenMs?: number } = {},
): Promise<number> {
  const from = await cluster.ownerOf(slot)
  const [fromId, toId] = [await from.command('CLUSTER', 'MYID'), await to.command('CLUSTER', 'MYID')].map(
    String,
  )
  await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId as string)
  await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId as string)
  const password = new URL(to.url).password
  let moved = 0
  for (;;) {
    const some = (await from.command('CLUSTER', 'GETKEYSINSLOT', slot, keys)) as string[]
    if (some.length === 0) break
    await from.command(
      'MIGRATE',
      '127.0.0.1',
      to.port,
      '',
      0,
      5_000,
      'REPLACE',
      'AUTH',
      password,
      'KEYS',
      ...some,
    )
    moved += some.length
    if (betweenMs > 0) await delay(betweenMs)
  }
  for (const node of [to, from, ...cluster.nodes]) {
    await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', toId as string).catch(() => {})
  }
  return moved
}

async function eachBecomes(
  nodes: readonly RedisServer[],
  check: (node: RedisServer) => Promise<boolean>,
): Promise<void> {
  for (const node of nodes) await eventually(() => check(node), LIMIT_MS)
}
