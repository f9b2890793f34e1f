import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import pg from 'pg'
import { eventOf } from '../events.ts'
import { newTag } from '../load.ts'
import { insertManyOf, jobIdOf } from '../peers/app.ts'
import type { World } from '../world.ts'

/** How fast the parts are, each alone, a second. */
export type Limits = {
  /** BullMQ's `addBulk`, 100 jobs at a time, four at once. */
  readonly addBulk: number
  /** Rows by `insert … select from unnest`, 200 at a time, three at once. */
  readonly insert: number
  /** Writes of 4 kB with `fdatasync`, on the disk of the stores. */
  readonly fsync: number
}

export async function measureLimits(world: World, seconds: number): Promise<Limits> {
  await world.clear()
  return {
    addBulk: await addBulk(world, seconds),
    insert: await insert(world, seconds),
    fsync: fsync(world, seconds),
  }
}

async function addBulk({ redis }: World, seconds: number): Promise<number> {
  await using stack = new AsyncDisposableStack()
  const connection = stack.adopt(new Redis(redis.url), (opened) => opened.disconnect())
  const queue = stack.adopt(new Queue('events', { connection, prefix: 'limit' }), (opened) => opened.close())
  const tag = newTag()
  let n = 0
  return await repeat(seconds, 4, 100, async () => {
    const events = Array.from({ length: 100 }, () => eventOf(tag, n++))
    await queue.addBulk(events.map((data) => ({ name: 'event', data, opts: { jobId: jobIdOf(data) } })))
  })
}

async function insert({ postgres }: World, seconds: number): Promise<number> {
  const pool = new pg.Pool({ connectionString: postgres.url, max: 3 })
  const tag = newTag()
  let n = 0
  const rate = await repeat(seconds, 3, 200, async () => {
    await pool.query(insertManyOf(Array.from({ length: 200 }, () => eventOf(tag, n++))))
  })
  await pool.end()
  return rate
}

/** @returns items a second */
async function repeat(
  seconds: number,
  atOnce: number,
  items: number,
  work: () => Promise<void>,
): Promise<number> {
  const start = performance.now()
  let done = 0
  async function loop(): Promise<void> {
    while (performance.now() - start < seconds * 1000) {
      await work()
      done += items
    }
  }
  await Promise.all(Array.from({ length: atOnce }, loop))
  return (done * 1000) / (performance.now() - start)
}

function fsync({ redis }: World, seconds: number): number {
  const file = openSync(join(redis.dir, 'fsync'), 'w')
  const bytes = Buffer.alloc(4_096, 1)
  const start = performance.now()
  let done = 0
  for (; performance.now() - start < seconds * 1000; done++) {
    writeSync(file, bytes)
    fdatasyncSync(file)
  }
  const rate = (done * 1000) / (performance.now() - start)
  closeSync(file)
  return rate
}
