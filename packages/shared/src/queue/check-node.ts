import type { Redis } from 'ioredis'
import { alerting, type Check, checkClock, fail, ok, unsafe, warn } from '../runtime/check.ts'
import { checkReplicas, checkUnseenReplicas, type Replication } from './check-replicas.ts'
import type { Growth } from './growth.ts'
import type { Master } from './nodes.ts'
import { redisCause } from './refusal.ts'
import { NEARLY_FULL } from './servers.ts'

type Info = Readonly<Record<string, string>>

const MIN_VERSION = 602
const ALERT_MEMORY_SHARE = 0.9

/**
 * Checks that this node can keep what Sluice promises: a writable master that evicts nothing and writes all to disk.
 */
export async function checkNode(master: Master, replication: Replication, growth: Growth): Promise<Check[]> {
  const name = nameOf(master)
  try {
    return await master.use(async (client) => {
      const info = await readInfo(client)
      return [
        ...(info ? checkInfo(name, info, growth) : [INFO_DENIED(name)]),
        ...(info
          ? checkReplicas(name, { info, master }, replication)
          : await checkUnseenReplicas(name, client, replication)),
        ...(await checkAof(name, client, info)),
        (await checkClock(name, () => timeOf(client)).catch(unlessDenied)) ?? TIME_DENIED(name),
      ]
    })
  } catch (error) {
    const { text, advice } = redisCause(error)
    return [fail(name, `cannot be used: ${text}`, advice)]
  }
}

export const nameOf = ({ name }: Master) => (name ? `Redis ${name}` : 'Redis')

const INFO_DENIED = (name: string) =>
  warn(
    name,
    'does not show its version, role, eviction policy, memory, replicas and last writes',
    'Let its user run INFO, or check these yourself.',
  )

const TIME_DENIED = (name: string) =>
  warn(name, 'does not show its clock', 'Let its user run TIME, or make sure that the clock is right.')

/** The fields of INFO; undefined if the user may not ask. */
async function readInfo(client: Redis): Promise<Info | undefined> {
  const text = await client.info().catch(unlessDenied)
  if (text === undefined) return undefined
  const lines = text.split('\r\n').filter((line) => line.includes(':'))
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
}

/** A hosted Redis may have renamed the command. */
function unlessDenied(error: Error): undefined {
  if (!/^NOPERM|unknown command|unknown subcommand/i.test(error.message)) throw error
}

async function timeOf(client: Redis): Promise<number> {
  const [seconds = 0, micros = 0] = (await client.time()).map(Number)
  return seconds * 1000 + micros / 1000
}

function checkInfo(name: string, info: Info, growth: Growth): Check[] {
  if (info.loading === '1') {
    return [fail(name, 'loads its data', 'Wait until it has: events take the inbox meanwhile.')]
  }
  return [
    checkVersion(name, info),
    info.role === 'master'
      ? ok(name, 'master')
      : alerting(
          'store-read-only',
          fail(name, `role ${info.role}`, 'Point REDIS_URL at the master, or at the Sentinels.'),
        ),
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
    checkMemory(name, Number(info.used_memory), Number(info.maxmemory), growth),
    ...lastWrites(name, info),
  ]
}

function checkVersion(name: string, info: Info): Check {
  const version = info.redis_version ?? ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (info.valkey_version) return ok(name, `Valkey ${info.valkey_version}`)
  return major * 100 + minor >= MIN_VERSION
    ? ok(name, `version ${version}`)
    : fail(name, `version ${version}`, 'Use Redis 6.2 or later.')
}

function checkMemory(name: string, used: number, max: number, growth: Growth): Check {
  const fullIn = growth.fullInMinutes(name, used, max)
  const megabytes = `${Math.ceil(used / 2 ** 20)} MB used`
  if (max === 0) return ok(name, `${megabytes}, no maxmemory`)
  const share = `${megabytes} of ${Math.floor(max / 2 ** 20)} MB`
  const advice = 'Raise maxmemory, or start more workers: a full Redis takes no events.'
  if (fullIn !== undefined) {
    return alerting('store-full', warn(name, `${share}, full in ${fullIn} min at this rate`, advice))
  }
  if (used < NEARLY_FULL * max) return ok(name, share)
  const check = warn(name, share, advice)
  return used < ALERT_MEMORY_SHARE * max ? check : alerting('store-full', check)
}

async function checkAof(name: string, client: Redis, info: Info | undefined): Promise<Check[]> {
  if (info && info.aof_enabled !== '1') {
    const advice = 'Set appendonly yes: a restart loses every waiting event.'
    return [unsafe('Redis', fail(name, 'keeps no append-only file', advice))]
  }
  const setting = async (key: string) =>
    ((await client.config('GET', key).catch(unlessDenied)) as string[] | undefined)?.[1]
  const fsync = await setting('appendfsync')
  if (fsync === undefined) {
    const advice = 'Let its user run CONFIG GET, or make sure that they are always and no.'
    return [warn(name, 'does not show its appendfsync and no-appendfsync-on-rewrite', advice)]
  }
  const advice = 'A power cut may lose events that were answered 200: set'
  if (fsync !== 'always')
    return [unsafe('Redis', warn(name, `appendfsync ${fsync}`, `${advice} appendfsync always.`))]
  if ((await setting('no-appendfsync-on-rewrite')) === 'yes')
    return [unsafe('Redis', warn(name, 'no-appendfsync-on-rewrite yes', `${advice} it to no.`))]
  return info ? [ok(name, 'every write is on disk before it is answered (appendfsync always)')] : []
}

function lastWrites(name: string, info: Info): Check[] {
  return ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status']
    .filter((status) => info[status] !== undefined && info[status] !== 'ok')
    .map((status) =>
      alerting(
        'store-full',
        fail(name, `${status}: ${info[status]}`, 'Look at its log and its disk: it cannot write.'),
      ),
    )
}
