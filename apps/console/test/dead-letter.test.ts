import { type OpenedConsole, openConsole } from '@sluice/testkit/console'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, expect, it } from 'vitest'

const stack = new AsyncDisposableStack()
let world: World
let console: OpenedConsole
beforeAll(async () => {
  world = stack.use(await createWorld('inbox'))
  console = stack.use(await openConsole(world))
})
afterAll(() => stack.disposeAsync())

const page = async (path: string) => {
  const response = await console.get(path, { headers: { accept: 'text/html' } })
  return { status: response.status, text: await response.text() }
}

it('the page of its event has body, bytes, curl line and receipt, as its own page has', async () => {
  const { bytes } = finishedJourney({ referenceNo: 'R-raw' })
  const [id] = await bury(world, [bytes])
  const letter = await console.json(`/api/v1/dead-letters/${id}`)
  const event = await console.json(`/api/v1/events/${letter.eventKey}`)
  const raw = bytes.toString('base64')
  expect(letter).toMatchObject({ raw, curl: event.curl, failures: [{ errorMessage: 'value too long' }] })
  expect(event).toMatchObject({
    event: null,
    raw,
    sha256: letter.sha256,
    letters: [{ failures: letter.failures }],
  })
  for (const path of [`/events/${letter.eventKey}`, `/dead-letters/${id}`]) {
    const { text } = await page(path)
    for (const part of ['R-raw', letter.sha256, 'id="curl"', `${path}/raw`, `${path}/receipt`])
      expect([path, text]).toEqual([path, expect.stringContaining(part)])
    expect(await (await console.get(`${path}/raw`)).text()).toBe(String(bytes))
    expect(await console.json(`${path}/receipt`)).toMatchObject({
      ...{ eventKey: letter.eventKey, bytes: raw, sha256: letter.sha256, landedAt: null },
    })
  }
  expect((await page(`/dead-letters/${id}`)).text).toContain(`href="/events/${letter.eventKey}"`)
})

it('the list of letters says when each failed, and a journey links to it', async () => {
  const [id] = await bury(world, [finishedJourney().bytes])
  const { eventKey, journeyId } = await console.json(`/api/v1/dead-letters/${id}`)
  const journey = await page(`/journeys/live/${journeyId}`)
  expect(journey.text).toContain('see its <a href="#letters">dead letters</a>')
  expect(journey.text).toMatch(/<h2 id="letters">[\s\S]*Dead letter \d+<\/a> failed <time/)
  await world.rows(`update dead_letters set state = 'resolved' where id = $1`, [id])
  expect((await page(`/events/${eventKey}`)).text).toMatch(
    /Dead letter \d+<\/a> failed <time[^>]*>.*?<\/time>, <span class="soft">resolved</,
  )
})

it('an error of the past is in the history alone, with those before', async () => {
  const [id] = await bury(world, [finishedJourney().bytes], { message: 'the newest' })
  await world.rows(`insert into operations (id, kind, filter, words, fingerprints, max_id, expected, reason, actor, state)
    overriding system value values (1, 'replay', '{}', 'of a test', '{}', 9, 1, 'why', 'Ada', 'done')`)
  await world.rows(
    `update dead_letters set state = 'resolved', replays = 1, operation_id = 1, first_failed_at = now() - interval '2 days',
      earlier_failures = jsonb_build_array(jsonb_build_object('failedAt', now() - interval '1 day', 'reason', reason,
        'errorClass', error_class, 'errorMessage', 'the one before')) where id = $1`,
    [id],
  )
  const { text } = await page(`/dead-letters/${id}`)
  expect(text).toMatch(/the newest[\s\S]*the one before[\s\S]*not kept/)
  expect(text).not.toMatch(/class="note bad"><code>|Postgres refuses the row/)
  expect((await page('/operations/1')).text).toMatch(
    /For example <a [^>]+>letter \d+<\/a>: <span[^>]+>resolved/,
  )
  await world.rows(`update dead_letters set state = 'open' where id = $1`, [id])
  expect((await page('/operations/1')).text).toMatch(/For example [\s\S]*the newest/)
  expect((await page(`/dead-letters/${id}`)).text).toMatch(
    /class="note bad"><code>.*the newest[\s\S]*Postgres refuses the row/,
  )
})
