import { setTimeout as pause } from 'node:timers/promises'
import { migrateSchema } from '@sluice/shared/db'
import { FIELD, openQueue, queueKeys, shardPrefix } from '@sluice/shared/queue'
import type { Failpoint } from '@sluice/shared/runtime'
import { eventually } from '@sluice/testkit/eventually'
import type { Member } from '@sluice/testkit/fleet'
import { PROGRAMS, run } from '@sluice/testkit/process'
import { Redis } from 'ioredis'
import { QUEUE_PREFIX, type World } from '../world.ts'
import type { Fault } from './fault.ts'

const KEYS = queueKeys(shardPrefix(QUEUE_PREFIX, 0))
const INGEST: readonly Failpoint[] = [
  'ingest-after-auth',
  'ingest-before-add',
  'ingest-after-add',
  'ingest-after-reply',
]
const WORKER: readonly Failpoint[] = [
  'worker-after-claim',
  'worker-before-transaction',
  'worker-in-transaction',
  'worker-after-commit',
]
const PORTION = 20
const DEAD_LETTER_MS = 60_000

export const failpointFaults: readonly Fault[] = [
  everyStep('F35', 1),
  everyStep('F35-50th', 50),
  deadLetter('F35-dead', 1),
  deadLetter('F35-dead50th', 50),
  {
    id: 'F35-sweep',
    name: 'workers killed between copying a failed job and removing it',
    seconds: 20,
    async inject(world) {
      const armed = world.fleet.workers().map((worker) => worker.arm('sweeper-after-insert'))
      const fields = [FIELD.data, '"nothing"', FIELD.failedReason, 'made by hand']
      await world.redis.command('HSET', KEYS.job('by-hand'), ...fields)
      await world.redis.command('ZADD', KEYS.failed, Date.now(), 'by-hand')
      if (await Promise.any(armed.map(orReject)).catch(() => false)) world.trace('failpoints')
      // An armed worker that is left would kill itself at the next sweep, during the check.
      await Promise.all(world.fleet.workers().map((worker) => worker.end('SIGKILL')))
    },
    heal: up,
    effect: { failpoints: 1 },
  },
  {
    id: 'F45',
    name: 'the same dead letter is replayed by two at once',
    seconds: 4,
    async inject(world) {
      await addGarbage(world, 0)
      const id = await someDeadLetter(world)
      // Otherwise the first replay might fail and open the letter again before the second one asks.
      for (const worker of world.fleet.workers()) worker.running.kill('SIGSTOP')
      const ended = await Promise.all([replay(world, id), replay(world, id)])
      const winners = ended.filter(({ how }) => how === 0).length
      if (winners !== 1) throw new Error(`${winners} of two replays at once won`)
      world.trace('refusedSecond', ended.filter(({ output }) => /nothing was done/.test(output)).length)
    },
    heal: async ({ fleet }) => fleet.workers().forEach((worker) => void worker.running.kill('SIGCONT')),
    effect: { refusedSecond: 1 },
  },
  {
    id: 'F35-replay',
    name: 'a replay killed inside its transaction, then done again',
    seconds: 4,
    async inject(world) {
      await addGarbage(world, 0)
      const id = await someDeadLetter(world)
      if ((await replay(world, id, 'replay-in-transaction')).how === 'SIGKILL') world.trace('failpoints')
      const { rows } = await world.db.pool.query('select state, replays from dead_letters where id = $1', [
        id,
      ])
      if (rows[0].state !== 'open' || rows[0].replays !== 0)
        throw new Error(`half a replay: ${JSON.stringify(rows)}`)
      const again = await replay(world, id)
      if (again.how !== 0) throw new Error(`the second replay ended with ${again.how}: ${again.output}`)
    },
    heal: async () => {},
    effect: { failpoints: 1 },
  },
  {
    id: 'F35-migrate',
    name: 'a migration killed in the middle, then done again',
    seconds: 7,
    world: { unmigrated: true },
    beforeStart: true,
    async inject(world) {
      if ((await sluice(world, ['migrate'], 'migrate-in-middle')).how === 'SIGKILL') world.trace('failpoints')
      await pause(6_000)
    },
    heal: async ({ db }) => void (await migrateSchema(db)),
    effect: { failpoints: 1, waited: 1 },
  },
]

/** One ingest or worker after the other dies at the n-th passing of each step. */
function everyStep(id: string, nth: number): Fault {
  return {
    id,
    name: `a process killed at each step of an event, at its ${nth === 1 ? 'first' : `${nth}th`} passing`,
    seconds: 55,
    mayFail: true,
    async inject(world) {
      const { redis, fleet } = world
      for (const step of INGEST) await dieAt(world, fleet.ingests(), `${step}:${nth}`)
      for (const step of WORKER) await dieAt(world, fleet.workers(), `${step}:${nth}`)
      await redis.kill()
      await dieAt(world, fleet.ingests(), `ingest-after-inbox:${nth}`)
      await redis.start()
    },
    heal: up,
    effect: { failpoints: INGEST.length + WORKER.length + 1 },
  }
}

function deadLetter(id: string, nth: number): Fault {
  return {
    id,
    name: `a worker killed between a dead letter and its job's end, at the ${nth === 1 ? 'first' : `${nth}th`}`,
    seconds: 6,
    async inject(world) {
      let dead = false
      const dying = dieAt(world, world.fleet.workers(), `worker-after-dead-letter:${nth}`).finally(() => {
        dead = true
      })
      // In portions: the other worker claims its share, and claims all while the armed one starts.
      for (let first = 0; !dead; first += PORTION, await pause(250)) await addGarbage(world, first)
      await dying
    },
    heal: up,
    effect: { failpoints: 1 },
  }
}

async function dieAt(world: World, [first]: readonly Member[], failpoint: string): Promise<void> {
  if (await first?.arm(failpoint)) world.trace('failpoints')
  else throw new Error(`no process died at ${failpoint}`)
  await first?.up()
}

async function up({ redis, fleet }: World): Promise<void> {
  if (!redis.isRunning) await redis.start()
  await Promise.all(fleet.members.map((member) => member.up()))
}

/** Adds jobs that no version of Sluice can read. */
async function addGarbage({ redis }: World, first: number): Promise<void> {
  const client = new Redis(redis.url)
  const queue = openQueue(client, KEYS.prefix)
  const numbers = Array.from({ length: PORTION }, (_, n) => first + n)
  await queue.addBulk(numbers.map((n) => ({ name: 'garbage', data: { n }, opts: { jobId: `garbage-${n}` } })))
  await queue.close()
  client.disconnect()
}

async function someDeadLetter({ db }: World): Promise<number> {
  return eventually(async () => {
    const { rows } = await db.pool.query('select id::int from dead_letters limit 1')
    return rows[0]?.id
  }, DEAD_LETTER_MS)
}

const replay = (world: World, id: number, failpoint?: Failpoint) =>
  sluice(world, ['dead', 'replay', String(id)], failpoint)

async function sluice({ env }: World, args: string[], failpoint?: Failpoint) {
  const armed = failpoint && { SLUICE_FAILPOINT: failpoint }
  await using running = run(PROGRAMS.cli, args, { ...env, ...armed })
  return { how: await running.exited, output: running.output() }
}

async function orReject(dying: Promise<boolean>): Promise<true> {
  if (await dying) return true
  throw new Error('did not die')
}
