import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { landJobs } from '@sluice/shared/db'
import { encodeRaw } from '@sluice/shared/envelope'
import { identify, parseEvent } from '@sluice/shared/idwise'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, expect, it } from 'vitest'

const EXAMPLE = fileURLToPath(new URL('../docs/examples/listen.mjs', import.meta.url))

let world: World
let stack: AsyncDisposableStack
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  world = stack.use(await createWorld('inbox'))
})
afterEach(() => stack.disposeAsync())

function runExample(): { lines: () => string[]; errors: () => string } {
  const child = spawn(process.execPath, [EXAMPLE], {
    env: { ...process.env, DATABASE_URL: world.databaseUrl },
  })
  stack.defer(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  let output = ''
  let errors = ''
  child.stdout.on('data', (data) => {
    output += data
  })
  child.stderr.on('data', (data) => {
    errors += data
  })
  return { lines: () => output.split('\n').filter((line) => line !== ''), errors: () => errors }
}

async function finish(journeyId: string, systemDecision: string): Promise<void> {
  const body = { eventId: `${journeyId} ${systemDecision}`, journeyId, systemDecision }
  const raw = Buffer.from(JSON.stringify({ event: 'Finished Journey', body }))
  const at = Date.now()
  const { jobId } = identify('live', raw, parseEvent(raw), at)
  const envelope = { v: 1 as const, env: 'live' as const, at, deliveryId: jobId, ...encodeRaw(raw) }
  const delivery = { jobId, envelope, via: 'inbox' as const, duplicates: 0, replayOf: null }
  await world.db.landingTransaction((connection) => landJobs(connection, [delivery]))
}

const listener = `from pg_stat_activity where datname = current_database() and query ~ '^(listen|select \\* from journeys)'`

it('the documented listener reports each decision, and reads what it missed after a lost connection', async () => {
  await finish('before', 'Complete')
  const example = runExample()
  await eventually(() => example.lines().includes('before Complete null'))
  await finish('heard', 'Refer')
  await eventually(() => example.lines().includes('heard Refer null'))

  await world.rows(`select pg_terminate_backend(pid) ${listener}`)
  await finish('missed', 'Complete')

  await eventually(() => example.lines().includes('missed Complete null'))
  expect(example.errors()).not.toBe('')
})
