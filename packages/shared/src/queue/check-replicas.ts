import type { Redis } from 'ioredis'
import { alerting, type Check, ok, unsafe, warn } from '../runtime/check.ts'
import type { Master } from './nodes.ts'
import { countReplicas } from './replicas.ts'

/** How many replicas are wanted, and which were seen before. */
export type Replication = {
  /** How many replicas acknowledge an event; `auto` wants one if there may be any. */
  readonly acks: 'auto' | number
  /** Whether another server may take over from a master; see `mayFailOver`. */
  readonly failsOver: boolean
  /** Masters that had replicas since this process started. */
  readonly seen: Set<string>
}

const MAX_LAG_SECONDS = 10

/** Checks that the loss of a master loses no event that was answered 200. */
export function checkReplicas(
  name: string,
  { info, master }: { info: Readonly<Record<string, string>>; master: Master },
  { acks, failsOver, seen }: Replication,
): Check[] {
  if (info.role !== 'master') return []
  const connected = Number(info.connected_slaves)
  const replicas = Object.entries(info).filter(([key]) => /^slave\d+$/.test(key))
  if (connected > 0) seen.add(name)
  const wanted = acks === 'auto' ? Number(failsOver || seen.has(name)) : acks
  const count = counted(connected)
  if (connected > 0 && acks === 0) return [unconfirmed(name, count)]
  if (failsOver && connected === 0) {
    const meanwhile = wanted > 0 ? 'events are written to the inbox as well, and ' : ''
    const advice = `Give it one: until then ${meanwhile}no server takes over from it.`
    return [alerting('replica-gone', warn(name, 'no replica', advice))]
  }
  if (connected < wanted) {
    const advice = 'Bring them back: events are written to the inbox as well until a replica is back.'
    return [alerting('replica-gone', warn(name, `${count} connected, events wait for ${wanted}`, advice))]
  }
  const found = replicas.flatMap(([, line]) => checkReplica(name, line))
  if (connected < (master.replicas ?? 0)) {
    const advice = 'Start it, or take it out of the cluster (CLUSTER FORGET).'
    const text = `${connected} of ${master.replicas} replicas of the cluster connected`
    found.push(alerting('replica-gone', warn(name, text, advice)))
  }
  return found.length > 0 || connected === 0 ? found : [ok(name, `${count}, in step`)]
}

/** The same for a user who may not run INFO, as far as can be seen. */
export async function checkUnseenReplicas(
  name: string,
  client: Redis,
  { acks }: Replication,
): Promise<Check[]> {
  const connected = acks === 0 ? await countReplicas(client) : 0
  return connected > 0 ? [unconfirmed(name, counted(connected))] : []
}

const counted = (connected: number) => (connected === 1 ? '1 replica' : `${connected} replicas`)

function unconfirmed(name: string, count: string): Check {
  const advice = 'Set REDIS_ACKS to auto: a failover may lose events that were answered 200.'
  return unsafe('Redis', warn(name, `${count}, and REDIS_ACKS is 0`, advice))
}

/** @param line such as `ip=10.0.0.2,port=6379,state=online,offset=42,lag=0` */
function checkReplica(name: string, line: string): Check[] {
  const { ip, port, state, lag } = Object.fromEntries(line.split(',').map((part) => part.split('=')))
  const problem = state !== 'online' ? `is not in step (${state})` : `lags by ${lag} s`
  if (state === 'online' && Number(lag) <= MAX_LAG_SECONDS) return []
  return [warn(name, `replica ${ip}:${port} ${problem}`, 'See to its machine, its network and its log.')]
}
