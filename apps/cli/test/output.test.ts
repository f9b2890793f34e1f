import { spawn } from 'node:child_process'
import { openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createWorld, type Door, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
/** A sender may write any of these: a further line, colours, an overwritten line, reversed text, a C1 escape. */
const EVIL = 'a name\nFORGED\r\u001b[2J\u009b31m\u202eFORGED\u2028\u200b\u{e0041}'
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about
const ACTING = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e]|\u{e0041}/u

describe('what commands print', () => {
  let world: World
  let door: Door
  const stack = new AsyncDisposableStack()
  const eventId = `evil ${EVIL}`

  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    door = stack.use(await openDoor(world))
    stack.use(await openWorker(world))
    for (const decision of ['Complete', 'Refer']) {
      const body = { eventId, journeyId: 'J-1', referenceNo: EVIL, systemDecision: EVIL, decision }
      await door.post(JSON.stringify({ event: EVIL, body }, null, 2))
      await eventually(
        async () => (await world.rows('select from events union all select from dead_letters')).length > 0,
      )
    }
    await eventually(async () => (await world.rows('select from dead_letters')).length === 1)
    await world.rows('update dead_letters set error_message = $1', [EVIL])
  })
  afterAll(() => stack.disposeAsync())

  const sluice = (...args: string[]) => command(args, { DATABASE_URL: world.databaseUrl })

  it.each([
    ['event', eventId],
    ['journey', 'J-1'],
    ['dead', 'list'],
    ['dead', 'show', '1'],
  ])('cannot be made to forge lines or to act on a terminal: sluice %s', async (...args) => {
    const { stdout, code } = await sluice(...args)
    expect(code).toBe(0)
    expect(stdout).toContain('FORGED')
    expect(stdout).not.toMatch(/^FORGED/m)
    expect(stdout).not.toMatch(ACTING)
    expect(stdout).toContain('\\u001b[2J\\u009b31m\\u202eFORGED\\u2028')
  })

  it('shows an argument that is refused without its control characters', async () => {
    const { code, stderr } = await sluice('dead', 'show', EVIL.replaceAll('\n', ''))
    expect(code).toBe(1)
    expect(stderr).toContain('FORGED')
    expect(stderr).not.toMatch(ACTING)
  })

  it('is exact as JSON', async () => {
    const { stdout } = await sluice('event', eventId, '--json')
    const found = JSON.parse(stdout)
    const [{ event }] = found.events
    expect([event.eventId, event.event]).toEqual([eventId, EVIL])
    expect(stdout).not.toMatch(ACTING)
  })

  it('ends quietly if nobody reads it, as a program ended by SIGPIPE does', async () => {
    const child = spawn(process.execPath, [MAIN, 'dead', 'list'], {
      env: { DATABASE_URL: world.databaseUrl },
    })
    child.stdout.destroy()
    expect(await ended(child)).toEqual({ code: 141, stdout: '', stderr: '' })
  })

  it.runIf(process.platform === 'linux')('fails in one line if the disk is full', async () => {
    const child = spawn(process.execPath, [MAIN, 'dead', 'list', '--json'], {
      env: { DATABASE_URL: world.databaseUrl },
      stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    })
    expect(await ended(child)).toEqual({
      code: 1,
      stdout: '',
      stderr: 'The output cannot be written (ENOSPC).\n',
    })
  })

  it('records who acted: --actor, or the number of a user without a name', async () => {
    const actors = async () =>
      (await world.rows<{ actor: string }>('select actor from operator_actions order by id')).map(
        ({ actor }) => actor,
      )
    expect(await sluice('dead', 'replay', '1', '--actor', 'Ada')).toMatchObject({ code: 0 })
    expect(await actors()).toEqual(['Ada'])
    if (process.getuid?.() !== 0 || !isOpenToAll(process.execPath)) return
    await eventually(
      async () => (await world.rows(`select from dead_letters where state = 'open'`)).length === 1,
    )
    const nameless = await command(
      ['dead', 'discard', '1', '--reason', 'made up'],
      { DATABASE_URL: world.databaseUrl },
      { uid: 54_321, gid: 54_321 },
    )
    expect(nameless).toMatchObject({ code: 0, stdout: '1: discarded.\n' })
    expect(await actors()).toEqual(['Ada', '54321'])
  })
})

/** Whether every user can reach a file. */
function isOpenToAll(path: string): boolean {
  const folder = dirname(path)
  return (statSync(folder).mode & 0o001) !== 0 && (folder === path || folder === '/' || isOpenToAll(folder))
}

type Ended = { code: number | null; stdout: string; stderr: string }

function command(
  args: string[],
  env: Record<string, string>,
  as: { uid?: number; gid?: number } = {},
): Promise<Ended> {
  return ended(spawn(process.execPath, [MAIN, ...args], { env, ...as }))
}

async function ended(child: ReturnType<typeof spawn>): Promise<Ended> {
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.on('data', (chunk) => {
      text[name] += chunk
    })
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, ...text }
}
