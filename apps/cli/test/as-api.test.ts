import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OPERATOR, type OpenedConsole, openConsole, VIEWER } from '@sluice/testkit/console'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, type Door, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createProgram } from '../src/program.ts'

describe('commands say what the API says', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let console: OpenedConsole
  let door: Door
  const keys: string[] = []
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    for (const [name, value] of Object.entries(world.env)) vi.stubEnv(name, value)
    stack.defer(() => void vi.unstubAllEnvs())
    console = stack.use(await openConsole(world))
    door = stack.use(await openDoor(world))
    stack.use(await openWorker(world))
    const post = async (body: Record<string, unknown>, count: number) => {
      const event = body.eventId === 'step-1' ? 'Finished User Steps' : 'Finished Journey'
      const bytes = JSON.stringify({ event, body: { journeyId: 'J-1', ...body } }, null, 1)
      keys.push(((await (await door.post(bytes)).json()) as { id: string }).id)
      const sql = 'select from events union all select from dead_letters'
      await eventually(async () => (await world.rows(sql)).length === count)
    }
    await post({ eventId: 'step-1', systemDecision: 'Incomplete' }, 1)
    await post({ eventId: 'end-1', systemDecision: 'Refer', note: "it's" }, 2)
    await post({ eventId: 'end-1', systemDecision: 'Complete' }, 3)
    const conflict = await sluice('dead', 'discard', '1', '--reason', 'sent twice', '--actor', 'Ada')
    expect(conflict).toMatchObject({ code: 0 })
  })
  afterAll(() => stack.disposeAsync())

  let last: Promise<unknown> = Promise.resolve()
  /** Runs a command in this process, one after the other. */
  function sluice(...args: string[]): Promise<{ code: number; output: string }> {
    const ended = last.then(async () => {
      const written: string[] = []
      const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
        written.push(String(text))
        return true
      })
      try {
        await createProgram().parseAsync(args, { from: 'user' })
        return { code: Number(process.exitCode ?? 0), output: written.join('') }
      } catch (error) {
        return { code: 1, output: String(error) }
      } finally {
        process.exitCode = undefined
        write.mockRestore()
      }
    })
    last = ended
    return ended
  }
  const json = async (...args: string[]) => JSON.parse((await sluice(...args, '--json')).output)

  it('of a journey, now and as of an event, with what is missing and words for the customer', async () => {
    const [now, then, shown, shownThen] = await Promise.all([
      json('journey', 'J-1'),
      json('journey', 'J-1', '--at', 'step-1', '--zone', 'Asia/Dubai'),
      sluice('journey', 'J-1'),
      sluice('journey', 'J-1', '--at', keys[0] as string),
    ])
    const api = await console.json('/api/v1/journeys/live/J-1')
    // The words say how long ago something was.
    const unclocked = (reply: { missing: unknown }) => ({ ...reply, missing: null })
    expect(now.map(unclocked)).toEqual([unclocked(api)])
    expect(api).toMatchObject({ missing: { what: 'review' }, acts: [{ actor: 'Ada', reason: 'sent twice' }] })
    expect(then).toEqual([await console.json(`/api/v1/journeys/live/J-1?at=${keys[0]}&zone=Asia%2FDubai`)])
    expect(then[0]).toMatchObject({ at: keys[0], state: { stage: 'submitted' }, missing: null })
    expect(shown.output).toMatch(/Missing: The decision is Refer since[\s\S]*For the customer:\n {2}On \d/)
    expect(shown.output).toContain('Ada: discard dead_letter 1: sent twice')
    expect(shownThen.output).toMatch(/stage +submitted[\s\S]*1 event came after that/)
    expect(shownThen.output).not.toContain('Missing')
    expect(await sluice('journey', 'J-1', '--at', 'x')).toMatchObject({ code: 1 })
  })

  it('of an event: its timeline, and what differs from the event before', async () => {
    const [found, shown] = await Promise.all([json('event', 'end-1'), sluice('event', keys[1] as string)])
    expect(found.events).toEqual([await console.json(`/api/v1/events/${keys[1]}`)])
    expect(shown.output).toMatch(/Z {11}received\n[\s\S]*Ada: discard of dead letter 1 \(sent twice\)/)
    expect(shown.output).toMatch(/the journey's event before, Finished User Steps of/)
    expect(shown.output).toContain('body.systemDecision: "Incomplete" → "Refer"')
  })

  it('of an event that waits, which is no success yet', async () => {
    await world.rows(`create function refuse() returns trigger language plpgsql as $$
        begin raise exception 'no' using errcode = '57P03'; end $$;
      create trigger refuse before insert on events for each row execute function refuse()`)
    const answer = await door.post(JSON.stringify({ event: 'Finished Step', body: { eventId: 'waits-1' } }))
    const { id } = (await answer.json()) as { id: string }
    expect(await sluice('event', id)).toEqual({
      code: 1,
      output: expect.stringMatching(/Finished Step · live[\s\S]*waits in the inbox[\s\S]* \| \{"event"/),
    })
    await world.rows('drop function refuse cascade')
  })

  it('of an event: a line for a shell, and a receipt that is never written over another file', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'sluice-receipt-'))
    stack.defer(() => rm(dir, { recursive: true }))
    const file = join(dir, 'receipt.json')
    const curl = await sluice('event', 'end-1', '--curl')
    expect(curl).toEqual({ code: 0, output: `${(await console.json(`/api/v1/events/${keys[1]}`)).curl}\n` })
    expect(await sluice('event', 'end-1', '--receipt', file)).toMatchObject({ code: 0 })
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(await console.json(`/events/${keys[1]}/receipt`))
    expect(await sluice('event', 'step-1', '--receipt', file)).toMatchObject({ code: 1 })
    expect((await sluice('event', '--receipt', file)).output).toContain('agrees with itself')
  })

  it('of what an operation would do, before anybody does it', async () => {
    const [id] = await bury(world, [finishedJourney({ journeyId: 'J-2' }).bytes])
    const ask = (body: unknown, as = OPERATOR) =>
      console.get('/api/v1/operations/preview', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        as,
      })
    const asked = { kind: 'replay', filter: { journeyId: 'J-2' } }
    const plan = await (await ask(asked)).json()
    expect(plan).toEqual(await json('dead', 'replay', '--journey', 'J-2'))
    expect(plan).toMatchObject({
      count: 1,
      preview: { letters: [{ id, outcome: 'landed' }], journeys: [{ journeyId: 'J-2', isNew: true }] },
    })
    expect(await world.rows(`select from journeys where journey_id = 'J-2'`)).toEqual([])
    const bad = [
      await ask({ ...asked, filter: {} }),
      await ask({ ...asked, expected: 1 }),
      await ask(asked, VIEWER),
    ]
    expect(bad.map(({ status }) => status)).toEqual([422, 400, 403])
  })

  it('of a journey of which nothing has landed', async () => {
    await bury(world, [finishedJourney({ journeyId: 'J-3' }).bytes])
    const found = await sluice('journey', 'J-3')
    expect(found).toMatchObject({
      code: 1,
      output: expect.stringContaining('Nothing of this journey has landed'),
    })
    const { letters } = await console.json('/api/v1/journeys/live/J-3')
    expect(await json('journey', 'J-3')).toMatchObject([{ state: null, letters }])
    expect((await sluice('journey', 'J-4')).output).toContain('No journey has the id')
  })

  it('of what people did', async () => {
    const [letter, all, none, shown, since, idle] = await Promise.all([
      json('dead', 'show', '1'),
      json('audit', '--actor', 'Ada', '--target', 'dead_letter 1'),
      sluice('audit', '--before', '1'),
      sluice('audit'),
      json('now', '--since', '8h'),
      sluice('now', '--since', '8h'),
    ])
    const { items } = await console.json('/api/v1/actions')
    expect(items).toMatchObject([{ actor: 'Ada', action: 'discard', target: 'dead_letter 1' }])
    expect([letter.acts, all, since.news.acts]).toEqual([items, items, items])
    expect((await console.json('/api/v1/dead-letters/1')).acts).toEqual(items)
    expect(letter.conflict.changes).toEqual((await console.json('/api/v1/dead-letters/1')).conflict.changes)
    const letterShown = (await sluice('dead', 'show', '1')).output
    expect(letterShown).toContain('Ada: discard dead_letter 1: sent twice')
    expect(letterShown).toContain('body.systemDecision: "Refer" → "Complete"')
    expect([none.output, shown.output]).toEqual(['No acts.\n', expect.stringContaining('sent twice')])
    const path = `/api/v1/news?since=${encodeURIComponent(since.news.since)}`
    expect(await console.json(path)).toEqual(since.news)
    expect(idle.output).toMatch(/Since .* UTC:\n[\s\S]*Acts of others:\n.*sent twice/)
  })
})
