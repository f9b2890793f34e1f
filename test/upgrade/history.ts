import { gunzipSync, gzipSync } from 'node:zlib'
import { openQueue, queueKeys, shardPrefix } from '@sluice/shared/queue'
import { eventually } from '@sluice/testkit/eventually'
import { giveUpJob } from '@sluice/testkit/given-up-job'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Book } from './book.ts'
import { anonymous, applied, bytes, event, inSandbox, journeys, type Sample, unusual } from './events.ts'
import { type Maker, PREFIX } from './maker.ts'

const SHARD = shardPrefix(PREFIX, 0)

const REFUSE = `alter table events add constraint refused check (reference_no is distinct from 'refused')`
const ALLOW = 'alter table events drop constraint refused'
/** As a foreign key would: neither the event nor the server is at fault for certain, so each try counts. */
const FAIL = `create function fail() returns trigger language plpgsql as
  $$ begin raise exception 'referred row is missing' using errcode = '23503'; end $$;
  create trigger fail before insert on events for each row when (new.reference_no = 'fails') execute function fail()`
const SUCCEED = 'drop trigger fail on events; drop function fail()'

const finished = (journeyId: string, fields: Record<string, unknown> = {}) =>
  event('Finished Journey', journeyId, { systemDecision: 'Complete', ...fields })
const otherBody = ({ bytes: body, environment }: Sample) =>
  bytes(body.toString().replace('"Complete"', '"Refer"'), environment)

/** Lets everything happen that leaves a trace in the stores. Afterwards no process runs. */
export async function makeHistory(maker: Maker, book: Book): Promise<void> {
  const landed = await landWhatCanLand(maker, book)
  await leaveGivenUp(maker, book)
  await leaveActive(maker, book)
  await leaveAttempts(maker, book)
  await leaveInQuarantine(maker, book)
  await leaveWaiting(maker, book, landed)
}

type Landed = Record<'plain' | 'conflicting' | 'compressed' | 'withoutId' | 'replaying', Sample>

/** Events that land by both ways, redeliveries, conflicts, and dead letters of which two are ended. */
async function landWhatCanLand(maker: Maker, book: Book): Promise<Landed> {
  const { post, rows, sluice } = maker
  const plain = finished('redelivered')
  const conflicting = finished('in-conflict')
  const decided = finished('decided')
  const compressed = bytes(gzipSync(finished('compressed-again').bytes))
  const older = anonymous()
  const [withoutId] = older as [Sample]
  const usual = [...journeys(), ...older, ...unusual(), plain, conflicting, decided, compressed]
  const refusedEvent = (n: number): Sample => finished(`refused-${n}`, { referenceNo: 'refused' })
  const [open, replayed, discarded, replaying] = [1, 2, 3, 4].map(refusedEvent) as [
    Sample,
    Sample,
    Sample,
    Sample,
  ]
  const conflicts = [otherBody(conflicting), otherBody(decided)] as const

  await rows(REFUSE)
  await maker.whileWorking(async () => {
    for (const [index, sample] of [...usual, open, replayed, discarded, replaying].entries())
      await post(sample, index % 3 === 0 ? 'inbox' : 'redis')
    for (const sample of usual) book.delivered(sample, 'landed')
    await holds(maker, `count(*) = ${usual.length} from events`)
    for (const way of ['redis', 'inbox', 'inbox'] as const) {
      await post(plain, way)
      book.delivered(plain, 'landed')
    }
    await post(withoutId, 'redis')
    book.delivered(withoutId, 'landed')
    for (const sample of conflicts) await post(sample, 'redis')
    await addUnreadable(maker)
    await holds(maker, 'count(*) = 8 from dead_letters')
    await holds(maker, 'sum(duplicates) = 4 from events')
    await rows(ALLOW)
    const idOf = await letterIds(maker)
    await sluice('dead', 'replay', idOf(replayed), '--actor', 'operator', '--reason', 'the rule is gone')
    book.delivered(replayed, 'landed')
    await holds(maker, `count(*) = ${usual.length + 1} from events`)
    await sluice('dead', 'discard', idOf(discarded), idOf(conflicts[1]), '--actor', 'operator')
  })
  const rejected = 'rejected_by_database'
  book.buried(open, { reason: rejected, before: 'open', after: 'open' })
  book.buried(replayed, { reason: rejected, before: 'resolved', after: 'resolved' })
  book.buried(discarded, { reason: rejected, before: 'discarded', after: 'discarded' })
  book.buried(replaying, { reason: rejected, before: 'replaying', after: 'resolved' })
  book.buried(conflicts[0], { reason: 'conflict', before: 'open', after: 'open' })
  book.buried(conflicts[1], { reason: 'conflict', before: 'discarded', after: 'discarded' })
  for (const sample of UNREADABLE)
    book.buried(sample, { reason: 'unreadable', before: 'open', after: 'open' })
  return { plain, conflicting, compressed, withoutId, replaying }
}

/** What a later release, or another program, may have left in a store. */
const UNREADABLE = [bytes('{"v":99,"env":"live","body":"of a later release"}'), bytes('not an envelope')]

async function addUnreadable({ redis, rows }: Maker): Promise<void> {
  const [later, other] = UNREADABLE.map(({ bytes: data }) => data.toString())
  await using stack = new AsyncDisposableStack()
  const client = stack.adopt(new Redis(redis.url), (each) => each.disconnect())
  const queue = stack.adopt(openQueue(client, SHARD), (each) => each.close())
  await queue.add('later', JSON.parse(later ?? ''), { jobId: 'unreadable' })
  await rows(`insert into inbox (job_id, envelope) values ('unreadable-too', '${other}')`)
}

/** BullMQ has failed a job, and no sweep has seen it. */
async function leaveGivenUp({ post, redis }: Maker, book: Book): Promise<void> {
  const sample = finished('given-up')
  await post(sample, 'redis')
  const [jobId] = (await redis.command('LRANGE', queueKeys(SHARD).wait, 0, -1)) as string[]
  await giveUpJob(redis.url, SHARD, jobId ?? '')
  book.buried(sample, { reason: 'worker_crashed', before: null, after: 'open' })
}

/** A worker has died with a job. */
async function leaveActive({ post, crashAtClaim }: Maker, book: Book): Promise<void> {
  const sample = finished('active')
  await post(sample, 'redis')
  book.delivered(sample, 'waiting')
  await crashAtClaim('redis')
}

/** A delayed job and a row of the inbox have used up attempts. */
async function leaveAttempts(maker: Maker, book: Book): Promise<void> {
  const { post, rows, queue } = maker
  await rows(FAIL)
  await maker.whileWorking(
    async () => {
      for (const way of ['redis', 'inbox'] as const) {
        const sample = finished(`fails-${way}`, { referenceNo: 'fails' })
        await post(sample, way)
        book.delivered(sample, 'waiting')
      }
      await holds(maker, 'max(attempts) > 0 from inbox')
      await eventually(async () => (await queue.counts()).delayed > 0)
    },
    { SCHEDULER: 'off' },
  )
  await rows(SUCCEED)
}

/** Two workers have died with a row of the inbox. */
async function leaveInQuarantine(maker: Maker, book: Book): Promise<void> {
  const { post, crashAtClaim } = maker
  await using stack = new AsyncDisposableStack()
  const holder = stack.adopt(new pg.Client(maker.postgres.url), (client) => client.end())
  await holder.connect()
  // The other rows, so that no crash counts on them.
  await holder.query('begin; select from inbox for update')
  const sample = finished('suspect')
  await post(sample, 'inbox')
  book.delivered(sample, 'waiting')
  for (const crashes of [1, 2]) {
    await crashAtClaim('inbox')
    await maker.whileScheduling(() => holds(maker, `max(crashes) = ${crashes} from inbox`))
  }
}

/** Events that came while no worker ran: new ones, redeliveries, and another body of an event. */
async function leaveWaiting(maker: Maker, book: Book, landed: Landed): Promise<void> {
  const { plain, conflicting, compressed, withoutId, replaying } = landed
  const another = bytes(conflicting.bytes.toString().replace('"Complete"', '"Incomplete"'))
  const twice = { redis: finished('twice-by-redis'), inbox: finished('twice-by-inbox') }
  const goesOn = event('Manually Reviewed', 'goes-on', {
    manualDecision: 'Approved',
    finalDecision: 'Approved',
  })
  const waiting = {
    redis: [
      ...applied('waits-in-redis'),
      goesOn,
      bytes('{"event":"Step Submitted","body":{"journeyId":"waits-without-id","stepId":"7"}}'),
      bytes(gzipSync(finished('waits-compressed').bytes)),
      bytes(Buffer.from([0x00, 0xff, 0x10, 0x80])),
      ...[twice.redis, twice.redis, plain],
    ],
    inbox: [
      ...applied('waits-in-inbox').map(inSandbox),
      event('Archived Journey', 'waits-unknown'),
      bytes('waits, and is not JSON'),
      ...[twice.inbox, twice.inbox, plain, withoutId],
    ],
  }
  for (const way of ['redis', 'inbox'] as const) {
    for (const sample of waiting[way]) {
      await maker.post(sample, way)
      book.delivered(sample, 'waiting')
    }
  }
  // Compressed anew, it is the same event in other bytes.
  await maker.post(bytes(compressedAnew(compressed)), 'inbox')
  book.delivered(compressed, 'waiting')
  await maker.post(another, 'redis')
  book.buried(another, { reason: 'conflict', before: null, after: 'open' })
  const idOf = await letterIds(maker)
  await maker.sluice('dead', 'replay', idOf(replaying), '--actor', 'operator')
  book.delivered(replaying, 'waiting')
  await maker.crashAtClaim('inbox')
}

const compressedAnew = ({ bytes: body }: Sample) => gzipSync(gunzipSync(body), { level: 1 })

/** Waits until `select …` is true. */
function holds({ rows }: Maker, condition: string): Promise<boolean> {
  return eventually(async () => {
    const [row] = await rows<{ holds: boolean }>(`select ${condition.replace(' from', ' as holds from')}`)
    return row?.holds === true
  }, 60_000)
}

/** @returns finds the number of the dead letter of an event, by its bytes */
async function letterIds({ rows }: Maker): Promise<(sample: Sample) => string> {
  const letters = await rows<{ id: string; raw: Buffer }>('select id, raw from dead_letters')
  return ({ bytes: body }) => letters.find(({ raw }) => raw.equals(body))?.id ?? 'none'
}
