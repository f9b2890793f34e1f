import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { finishedJourney, inParallel } from '@sluice/testkit/event'
import { eventually } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const run = promisify(execFile)

let clone: string
let running: ChildProcess[]

beforeEach(() => {
  clone = makeClone()
  running = []
})
afterEach(async () => {
  await Promise.all(
    running.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    }),
  )
  await eventually(async () => (await processesOf(clone)).length === 0)
  rmSync(clone, { recursive: true, force: true })
})

/** What `sluice start` needs of a clone: its state lies beside these files. */
function makeClone(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-clone-'))
  chmodSync(directory, 0o755)
  cpSync(join(ROOT, 'apps/cli/src'), join(directory, 'apps/cli/src'), { recursive: true })
  cpSync(join(ROOT, 'apps/cli/package.json'), join(directory, 'apps/cli/package.json'))
  symlinkSync(join(ROOT, 'apps/cli/node_modules'), join(directory, 'apps/cli/node_modules'))
  return directory
}

type Started = {
  child: ChildProcess
  output(): string
  ready(): Promise<{ url: string; token: string }>
  exit: Promise<unknown>
}

function start({ env = {}, args = [] }: { env?: Record<string, string>; args?: string[] } = {}): Started {
  const child = spawn(process.execPath, [join(clone, 'apps/cli/src/main.ts'), 'start', ...args], {
    cwd: clone,
    env: { ...environment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  running.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      output += chunk
    })
  }
  const exit = once(child, 'exit').then(([code, signal]) => code ?? signal)
  return {
    child,
    exit,
    output: () => output,
    async ready() {
      const [, url] = await eventually(
        () => /curl -sS (\S+)\/live -K/.exec(output) ?? (child.exitCode !== null && fail(output)),
        50_000,
      )
      const token = /Bearer ([^"]+)/.exec(readFileSync(join(clone, '.sluice/curl'), 'utf8'))?.[1] as string
      expect(output).not.toContain(token)
      return { url: url as string, token }
    },
  }
}

function fail(output: string): never {
  throw new Error(`the start ended:\n${output}`)
}

const environment = (): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  INGEST_PORT: '0',
  WORKER_PORT: '0',
  METRICS_PORT: '0',
})

async function sluice(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await run(process.execPath, [join(clone, 'apps/cli/src/main.ts'), ...args], {
      cwd: clone,
      env: { PATH: process.env.PATH ?? '' },
    })
    return { code: 0, stdout, stderr }
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string }
  }
}

async function post({ url, token }: { url: string; token: string }, bytes: Buffer): Promise<number> {
  const answer = await fetch(`${url}/live`, {
    method: 'POST',
    body: bytes as Buffer<ArrayBuffer>,
    headers: { authorization: `Bearer ${token}` },
  })
  await answer.arrayBuffer()
  return answer.status
}

/** Every process whose arguments or working directory lie in the clone. */
async function processesOf(directory: string): Promise<string[]> {
  const { stdout } = await run('ps', ['-eo', 'pid=,args='])
  return stdout.split('\n').filter((line) => line.includes(directory) && !line.includes('ps -eo'))
}

/** A PATH on which everything is found but a Redis. */
function pathWithoutRedis(): string {
  const bin = join(clone, 'bin')
  mkdirSync(bin)
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    if (!existsSync(directory)) continue
    for (const name of readdirSync(directory)) {
      const known = lstatSync(join(bin, name), { throwIfNoEntry: false })
      const hidden = /^(redis|valkey)-server$/.test(name) || known
      if (!hidden) symlinkSync(join(directory, name), join(bin, name))
    }
  }
  return bin
}

const WAYS = [
  { name: 'a private Redis', path: () => process.env.PATH ?? '', via: 'redis' },
  { name: 'the inbox alone', path: () => pathWithoutRedis(), via: 'inbox' },
]

describe.each(WAYS)('sluice start, by $name', ({ path, via }) => {
  it('serves what it prints, finds the event, and stops without leaving a process', async () => {
    const started = start({ env: { PATH: path() } })
    const door = await started.ready()
    const { eventId, bytes } = finishedJourney()

    expect(await post(door, bytes)).toBe(200)

    const found = await eventually(async () => {
      const { code, stdout } = await sluice('event', eventId, '--json')
      return code === 0 && JSON.parse(stdout)
    })
    expect(found.events).toMatchObject([
      { eventId, kind: 'finished_journey', via, raw: bytes.toString('base64') },
    ])
    expect(statSync(join(clone, '.sluice/env')).mode & 0o777).toBe(0o600)
    const doctor = await sluice('doctor', '--json')
    expect(JSON.parse(doctor.stdout)).toMatchObject({ ok: true })
    expect(await sluice('dead', 'list')).toMatchObject({ code: 0, stdout: 'No dead letters are open.\n' })

    const ledger = join(clone, 'run.ledger')
    const url = door.url.replace('/webhooks/idwise', '')
    const simulation = ['--journeys', '30', '--rate', '200', '--time-scale', '600', '--ledger', ledger]
    expect(await sluice('simulate', '--url', url, ...simulation)).toMatchObject({ code: 0 })
    const verified = await sluice('verify', ledger, '--json')
    expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true, missing: 0, journeysDiffering: 0 })
    expect(verified.code).toBe(0)
    const journey = await sluice('journey', found.events[0].journeyId)
    expect(journey.stdout).toMatch(/stage +finished[\s\S]*Finished Journey\n +referenceNo: - → REF-1/)
    expect(await sluice('journey', 'rebuild')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/ 0 changed\./),
    })

    started.child.kill('SIGTERM')

    expect(await started.exit).toBe(0)
    await eventually(async () => (await processesOf(clone)).length === 0)
    expect(await sluice('event', eventId)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('Is it running'),
    })
  }, 120_000)

  it('killed with SIGKILL under load and started again, it has every event that it answered 200', async () => {
    const env = { PATH: path() }
    const first = start({ env })
    const door = await first.ready()
    const events = Array.from({ length: 1_500 }, () => finishedJourney())
    const acknowledged = new Set<string>()
    const sending = inParallel(events, 32, async ({ eventId, bytes }) => {
      if ((await post(door, bytes).catch(() => 0)) === 200) acknowledged.add(eventId)
    })
    await eventually(() => acknowledged.size > 300)

    first.child.kill('SIGKILL')
    await sending
    const second = start({ env })
    const again = await second.ready()
    expect(again.token).toBe(door.token)
    const rest = events.filter(({ eventId }) => !acknowledged.has(eventId))
    expect(rest.length).toBeGreaterThan(0)
    await inParallel(rest, 32, async ({ bytes }) => expect(await post(again, bytes)).toBe(200))

    const database = /DATABASE_URL='([^']+)'/.exec(
      readFileSync(join(clone, '.sluice/env'), 'utf8'),
    )?.[1] as string
    const ids = await eventually(async () => {
      const rows = await query(database, 'select event_id from events')
      return rows.length >= events.length && rows
    }, 100_000)
    expect(new Set(ids.map(({ event_id }) => event_id))).toEqual(
      new Set(events.map(({ eventId }) => eventId)),
    )
  }, 180_000)
})

describe('sluice start', () => {
  it('refuses a second start over the same data, in one line', async () => {
    const first = start()
    await first.ready()
    const second = start()
    expect(await second.exit).toBe(1)
    expect(second.output()).toMatch(/^Sluice is already running here \(process \d+\)\. Stop it first.*\n$/)
  })

  it('names a taken port, a dead database and wrong settings, each in words', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    const onTaken = start({ env: { INGEST_PORT: String(port) } })
    expect(await onTaken.exit).toBe(1)
    expect(onTaken.output()).toContain(`Port ${port} is taken. Stop what listens there, or set INGEST_PORT`)
    taken.close()

    const onDead = start({ env: { DATABASE_URL: `postgres://u:a-secret-password@127.0.0.1:${port}/x` } })
    expect(await onDead.exit).toBe(1)
    expect(onDead.output()).toContain(`Postgres at 127.0.0.1:${port}/x does not answer`)
    expect(onDead.output()).not.toContain('a-secret-password')

    const wrong = {
      DATABASE_URL: 'x',
      INGEST_PORT: 'x',
      WORKER_PORT: 'x',
      WORKER_SHARDS: '5',
      IDWISE_LIVE_CREDENTIALS: 'bearer:short',
    }
    const onWrong = start({ env: wrong })
    expect(await onWrong.exit).toBe(1)
    for (const name of Object.keys(wrong)) {
      expect(onWrong.output().match(new RegExp(`^  - ${name} `, 'gm')), name).toHaveLength(1)
    }
    expect(onWrong.output()).not.toContain('Making a database')
  }, 120_000)

  it('announces the events that wait in a Redis which it does not serve', async () => {
    const first = start()
    await first.ready()
    first.child.kill('SIGKILL')
    await first.exit
    const second = start({ args: ['--no-redis'] })
    await second.ready()
    expect(second.output()).toContain('The private Redis of an earlier start may still hold events')
  }, 120_000)

  it('stops the same way on Ctrl-C, and when the process that spawned it is gone', async () => {
    const interrupted = start()
    await interrupted.ready()
    interrupted.child.kill('SIGINT')
    expect(await interrupted.exit).toBe(0)

    const orphaned = start()
    await orphaned.ready()
    orphaned.child.disconnect()
    expect(await orphaned.exit).toBe(0)
  }, 120_000)
})

async function query(url: string, sql: string): Promise<Record<string, string>[]> {
  const { createDb } = await import('@sluice/shared/db')
  const { createLog } = await import('@sluice/shared/runtime')
  await using db = createDb(url, {
    max: 1,
    statementMs: 10_000,
    log: createLog('test', 'fatal'),
    name: 'test',
  })
  return (await db.pool.query(sql)).rows
}
