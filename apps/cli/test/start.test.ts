import { once } from 'node:events'
import { existsSync, lstatSync, mkdirSync, readdirSync, statSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { finishedJourney } from '@sluice/testkit/event'
import { eventually } from '@sluice/testkit/eventually'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Clone, makeClone, postTo } from './clone.ts'

const WAYS = [
  { name: 'a private Redis', path: () => process.env.PATH ?? '', via: 'redis' },
  { name: 'the inbox alone', path: pathWithoutRedis, via: 'inbox' },
]

describe.each(WAYS)('the first sluice start of a clone, by $name', ({ path, via }) => {
  it('serves what it prints, finds the event, and stops without leaving a process', async () => {
    await using clone = await makeClone({ fresh: true })
    const started = clone.start({ env: { PATH: path(clone.dir) } })
    const webhooks = await started.ready()
    const { eventId, bytes } = finishedJourney()

    expect(await postTo(webhooks, bytes)).toBe(200)

    const found = await eventually(async () => {
      const { code, output } = await clone.sluice('event', eventId, '--json')
      return code === 0 && JSON.parse(output)
    })
    expect(found.events).toMatchObject([
      { event: { eventId, kind: 'finished_journey', via, raw: bytes.toString('base64') } },
    ])
    expect(statSync(join(clone.dir, '.sluice/env')).mode & 0o777).toBe(0o600)
    const [doctor, dead, simulated] = await Promise.all([
      clone.sluice('doctor', '--json'),
      clone.sluice('dead', 'list'),
      clone.sluice('simulate', '--url', webhooks.url.replace('/webhooks/idwise', ''), ...SIMULATION),
    ])
    expect(JSON.parse(doctor.output)).toMatchObject({ ok: true })
    expect(dead).toEqual({ code: 0, output: 'No dead letters are open.\n' })
    expect(simulated).toMatchObject({ code: 0 })

    const [verified, journey, rebuilt] = await Promise.all([
      clone.sluice('verify', 'run.ledger', '--json'),
      clone.sluice('journey', found.events[0].event.journeyId),
      clone.sluice('journey', 'rebuild'),
    ])
    expect(JSON.parse(verified.output)).toMatchObject({ ok: true, missing: 0, journeysDiffering: 0 })
    expect(verified.code).toBe(0)
    expect(journey.output).toMatch(/stage +finished[\s\S]*Finished Journey\n +referenceNo: - → REF-1/)
    expect(rebuilt).toEqual({ code: 0, output: expect.stringMatching(/ 0 changed\./) })

    started.kill('SIGTERM')

    expect(await started.exited).toBe(0)
    await eventually(() => clone.processes().length === 0)
    expect(await clone.sluice('event', eventId)).toEqual({
      code: 1,
      output: expect.stringContaining('Is it running'),
    })
  }, 120_000)
})

const SIMULATION = ['--journeys', '30', '--rate', '200', '--time-scale', '600', '--ledger', 'run.ledger']

describe('sluice start', () => {
  let clone: Clone
  beforeEach(async () => {
    clone = await makeClone()
  })
  afterEach(() => clone[Symbol.asyncDispose]())

  it('refuses a second start over the same data, in one line', async () => {
    await clone.start().ready()
    const second = clone.start()
    expect(await second.exited).toBe(1)
    expect(second.output()).toMatch(/^Sluice is already running here \(process \d+\)\. Stop it first.*\n$/)
  })

  it('names a taken port, a dead database and wrong settings, each in words', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    const onTaken = clone.start({ env: { INGEST_PORT: String(port) } })
    expect(await onTaken.exited).toBe(1)
    expect(onTaken.output()).toContain(`Port ${port} is taken. Stop what listens there, or set INGEST_PORT`)
    taken.close()

    const onDead = clone.start({
      env: { DATABASE_URL: `postgres://u:a-secret-password@127.0.0.1:${port}/x` },
    })
    expect(await onDead.exited).toBe(1)
    expect(onDead.output()).toContain(`Postgres at 127.0.0.1:${port}/x does not answer`)
    expect(onDead.output()).not.toContain('a-secret-password')

    const wrong = {
      DATABASE_URL: 'x',
      INGEST_PORT: 'x',
      WORKER_PORT: 'x',
      WORKER_SHARDS: '5',
      IDWISE_LIVE_CREDENTIALS: 'bearer:short',
    }
    await using fresh = await makeClone({ fresh: true })
    const onWrong = fresh.start({ env: wrong })
    expect(await onWrong.exited).toBe(1)
    for (const name of Object.keys(wrong)) {
      expect(onWrong.output().match(new RegExp(`^  - ${name} `, 'gm')), name).toHaveLength(1)
    }
    expect(onWrong.output()).not.toContain('Making a database')
  }, 120_000)

  it('announces the events that wait in a Redis which it does not serve', async () => {
    const first = clone.start()
    await first.ready()
    first.kill('SIGKILL')
    await first.exited
    const second = clone.start({ args: ['--no-redis'] })
    await second.ready()
    expect(second.output()).toContain('The private Redis of an earlier start may still hold events')
  }, 120_000)

  it('stops the same way on Ctrl-C, and when the process that spawned it is gone', async () => {
    const interrupted = clone.start()
    await interrupted.ready()
    interrupted.kill('SIGINT')
    expect(await interrupted.exited).toBe(0)

    const orphaned = clone.start()
    await orphaned.ready()
    orphaned.disconnect()
    expect(await orphaned.exited).toBe(0)
  }, 120_000)
})

/** A PATH with every program of this one but a Redis. */
function pathWithoutRedis(folder: string): string {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  for (const directory of (process.env.PATH ?? '').split(delimiter).filter(existsSync)) {
    for (const name of readdirSync(directory)) {
      const known = lstatSync(join(bin, name), { throwIfNoEntry: false })
      const isRedis = /^(redis|valkey)-server$/.test(name)
      if (!isRedis && !known) symlinkSync(join(directory, name), join(bin, name))
    }
  }
  return bin
}
