import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { errorCode } from '@sluice/shared/runtime'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

const BALLAST = 'ballast'

/** The folder of the store is a small disk in memory, which is filled for five seconds. */
function fullDisk(
  store: 'redis' | 'postgres',
  megabytes: number,
): Omit<Fault, 'id' | 'name' | 'seconds' | 'effect'> {
  return {
    world: {
      async prepare(dir, stack) {
        const folder = join(dir, store)
        mkdirSync(folder)
        execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'tmpfs', folder])
        stack.defer(() => void spawnSync('umount', ['-l', folder]))
        return {}
      },
    },
    impossible: mayNotMount,
    async inject(world) {
      for (const end = Date.now() + 5_000; Date.now() < end; await pause(50))
        fill(join(world[store].dir, BALLAST))
      world.trace('full')
    },
    async heal(world) {
      rmSync(join(world[store].dir, BALLAST), { force: true })
      await startStopped(world)
    },
  }
}

export const fullDiskFaults: readonly Fault[] = [
  {
    id: 'F08',
    name: 'the disk of Redis is full for 5 s',
    seconds: 6,
    ...fullDisk('redis', 8),
    effect: { full: 1, viaInbox: 50 },
  },
  {
    id: 'F27',
    name: 'the disk of Postgres is full for 5 s',
    seconds: 6,
    ...fullDisk('postgres', 160),
    effect: { full: 1, waited: 1 },
  },
]

/** A store may end when its disk is full. It is started again, as a container platform would. */
async function startStopped({ redis, postgres }: World): Promise<void> {
  await pause(300)
  if (!redis.isRunning) await redis.start()
  if (!postgres.isRunning) await postgres.start()
}

function fill(file: string): void {
  const disk = openSync(file, 'a')
  try {
    for (let size = 2 ** 20; size >= 512; size /= 2) writeUntilFull(disk, Buffer.alloc(size))
  } finally {
    closeSync(disk)
  }
}

function writeUntilFull(disk: number, block: Buffer): void {
  try {
    while (writeSync(disk, block) === block.length);
  } catch (error) {
    if (errorCode(error) !== 'ENOSPC') throw error
  }
}

function mayNotMount(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-mount-'))
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]).status === 0
  if (mounted) spawnSync('umount', [folder])
  rmdirSync(folder)
  return mounted ? undefined : 'this user may not mount a small disk in memory (tmpfs)'
}
