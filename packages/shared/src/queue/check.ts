import { type Check, checkClock, fail, ok, unsafe, warn } from '../runtime/check.ts'
import { describeError } from '../runtime/errors.ts'
import type { QueueSteward } from './steward.ts'

const MIN_VERSION = 602
const MAX_MEMORY_SHARE = 0.7

/** Whether this Redis can keep what Sluice promises: reachable, a writable master, nothing evicted, each write on disk. */
export async function checkRedis(steward: QueueSteward): Promise<Check[]> {
  const name = 'Redis'
  try {
    if (!(await steward.ready(3_000)))
      return [fail(name, 'does not answer', 'Start it, or correct REDIS_URL.')]
    const info = await steward.info()
    return [
      checkVersion(info.redis_version ?? ''),
      info.role === 'master'
        ? ok(name, 'master')
        : fail(name, `role ${info.role}`, 'Point REDIS_URL at the master, or at the Sentinels.'),
      info.maxmemory_policy === 'noeviction'
        ? ok(name, 'evicts nothing')
        : unsafe(
            'Redis',
            fail(
              name,
              `eviction policy ${info.maxmemory_policy}`,
              'Set maxmemory-policy noeviction: Redis may throw events away.',
            ),
          ),
      checkMemory(Number(info.used_memory), Number(info.maxmemory)),
      await checkAof(steward, info),
      ...(await checkCanary(steward)),
      ...lastWrites(info),
      await checkClock(name, () => steward.time()),
      await checkFailed(steward),
    ]
  } catch (error) {
    const { code, message } = describeError(error)
    return [
      fail(
        name,
        `cannot be asked (${code ?? message})`,
        'Check address, password and rights of the Redis user.',
      ),
    ]
  }
}

function checkVersion(version: string): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major * 100 + minor >= MIN_VERSION
    ? ok('Redis', `version ${version}`)
    : fail('Redis', `version ${version}`, 'Use Redis 6.2 or later.')
}

function checkMemory(used: number, max: number): Check {
  const megabytes = `${Math.ceil(used / 2 ** 20)} MB used`
  if (max === 0) return ok('Redis', `${megabytes}, no maxmemory`)
  const share = `${megabytes} of ${Math.floor(max / 2 ** 20)} MB`
  return used < MAX_MEMORY_SHARE * max
    ? ok('Redis', share)
    : warn('Redis', share, 'Raise maxmemory, or start more workers: a full Redis takes no events.')
}

async function checkAof(steward: QueueSteward, info: Record<string, string>): Promise<Check> {
  if (info.aof_enabled !== '1') {
    const advice = 'Set appendonly yes: a restart loses every waiting event.'
    return unsafe('Redis', fail('Redis', 'keeps no append-only file', advice))
  }
  const setting = (name: string) => steward.config(name).catch(() => undefined)
  const fsync = await setting('appendfsync')
  if (fsync === undefined) {
    const advice = 'Make sure that it is always; CONFIG GET is not allowed here.'
    return warn('Redis', 'does not tell its appendfsync', advice)
  }
  const advice = 'A power cut may lose events that were answered 200: set'
  if (fsync !== 'always')
    return unsafe('Redis', warn('Redis', `appendfsync ${fsync}`, `${advice} appendfsync always.`))
  if ((await setting('no-appendfsync-on-rewrite')) === 'yes') {
    return unsafe('Redis', warn('Redis', 'no-appendfsync-on-rewrite yes', `${advice} it to no.`))
  }
  return ok('Redis', 'every write is on disk before it is answered (appendfsync always)')
}

/** A key of ours that is gone tells that Redis was emptied, and with it whatever waited there. */
async function checkCanary(steward: QueueSteward): Promise<Check[]> {
  if (await steward.canaryLives()) return []
  const advice =
    'Find out who did it (FLUSHALL, another program on this database): events that waited are lost.'
  return [fail('Redis', 'was emptied while Sluice was using it', advice)]
}

function lastWrites(info: Record<string, string>): Check[] {
  return ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status']
    .filter((status) => info[status] !== undefined && info[status] !== 'ok')
    .map((status) =>
      fail('Redis', `${status}: ${info[status]}`, 'Look at its log and its disk: it cannot write.'),
    )
}

async function checkFailed(steward: QueueSteward): Promise<Check> {
  const { waiting, delayed, failed } = await steward.counts()
  const text = `${waiting} events waiting, ${delayed} delayed, ${failed} failed`
  return failed === 0
    ? ok('Queue', text)
    : warn('Queue', text, 'Start a worker: it turns failed jobs into dead letters.')
}
