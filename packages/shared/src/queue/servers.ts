import { Redis } from 'ioredis'
import type { RedisClient } from './connection.ts'

/** What a master tells of itself. */
export type ServerFigures = {
  /** Replicas that are connected. */
  readonly replicas: number
  /** The part of its memory limit that is used; undefined without a limit. */
  readonly memoryRatio: number | undefined
}

export type NodeFigures = ServerFigures & { readonly node: string }

/** @returns the figures of each master that tells them; a user may lack the right to ask */
export async function readServers(client: RedisClient): Promise<NodeFigures[]> {
  const masters = client instanceof Redis ? [client] : client.nodes('master')
  const asked = await Promise.allSettled(masters.map((master) => master.info()))
  return asked.flatMap((each, index) => {
    const { host, port } = masters[index]?.options ?? {}
    return each.status === 'fulfilled' ? [{ ...figuresIn(each.value), node: `${host}:${port}` }] : []
  })
}

/** The share of the memory limit from which Redis counts as nearly full. */
export const NEARLY_FULL = 0.7

/** @param info the answer to INFO */
export function figuresIn(info: string): ServerFigures {
  const figure = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
  const limit = figure('maxmemory')
  return {
    replicas: figure('connected_slaves'),
    memoryRatio: limit > 0 ? figure('used_memory') / limit : undefined,
  }
}
