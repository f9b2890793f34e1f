import { startOperation } from '@sluice/shared/operations'
import { DEFAULT_SOURCES } from '@sluice/shared/runtime'
import { type Browser, type Page, screenshot, startBrowser } from '@sluice/testkit/browser'
import { type OpenedConsole, openConsole } from '@sluice/testkit/console'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { program } from '@sluice/testkit/programs'
import { createWorld, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventsPage } from '../src/pages/events.ts'
import { tryLine } from '../src/parts/try-line.ts'
import { invalidIn, problemsOf } from './look.ts'

const chromium = program('chromium')
/** Every page that a person can open. A new one is added here. */
const PAGES: readonly (readonly [name: string, path: string])[] = [
  ['overview', '/'],
  ['now', '/now'],
  ['dead-letter-groups', '/dead-letters'],
  ['dead-letters', '/dead-letters?view=list'],
  ['dead-letter', '/dead-letters/1'],
  ['dead-letter-act', '/dead-letters/act?kind=replay&reason=rejected_by_database'],
  ['operations', '/operations'],
  ['operation', '/operations/1'],
  ['drift', '/drift'],
  ['audit', '/audit'],
  ['events-empty', '/events'],
  ['search-miss', '/search?q=none'],
  ['runbook', '/runbooks/operations/events-are-refused'],
  ['api', '/api'],
]

describe.skipIf(!chromium)('the pages in a browser', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let console: OpenedConsole
  let browser: Browser
  const looks = new Map<string, Page>()

  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    console = stack.use(await openConsole(world))
    await makeDeadLetters(world)
    await makeDrift(world)
    browser = stack.use(await startBrowser(chromium as string))
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [1440, 390]) {
        const options = { colorScheme, viewport: { width, height: 900 } }
        looks.set(`${width}-${colorScheme}`, await browser.signIn(console.url, options))
      }
    }
  })
  afterAll(() => stack.disposeAsync())

  it.each(PAGES)(
    '%s: nobody is kept out, in both themes and on a phone, and it is valid HTML',
    async (name, path) => {
      const response = await console.get(path, { headers: { accept: 'text/html' } })
      expect(await invalidIn(await response.text())).toEqual([])
      for (const [look, page] of looks) {
        await page.goto(console.url + path)
        expect(await problemsOf(page)).toEqual([])
        await screenshot(page, `${name}-${look}`)
      }
      expect(browser.complaints).toEqual([])
    },
  )

  it.each(['/', '/events', '/dead-letters', '/dead-letters/act?kind=replay&reason=conflict', '/drift'])(
    '%s: Tab reaches everything in order, the focus is seen, and nothing moves for who wants it so',
    async (path) => {
      const page = await browser.signIn(console.url, { reducedMotion: 'reduce' })
      await page.goto(console.url + path)
      const others = (await page.evaluate(TABBABLE)) as number
      const reached: unknown[] = []
      for (let n = 0; n < others; n++) {
        await page.keyboard.press('Tab')
        reached.push(await page.evaluate(FOCUSED))
      }
      expect(reached).toEqual(Array.from({ length: others }, (_, n) => ({ index: n + 1, isSeen: true })))
      expect(await page.evaluate(MOVING)).toEqual([])
      await page.context().close()
    },
  )

  it('an empty list of events has a line to try, which names no wrong address', async () => {
    const list = { kind: 'page', items: [], next: null, looked: null, top: null } as const
    const line = tryLine(DEFAULT_SOURCES, undefined)
    const shown = { list, environments: [], top: null, isLive: false, tryLine: line }
    expect(String(eventsPage({}, shown))).toContain('curl -sS http://INGEST/webhooks/idwise/sandbox ')
    expect(String(tryLine(DEFAULT_SOURCES, 'http://127.0.0.1:3456'))).toContain(
      'curl -sS http://127.0.0.1:3456/webhooks/idwise/sandbox ',
    )
  })

  it('works without script: a person can sign in', async () => {
    const page = await browser.signIn(console.url, { javaScriptEnabled: false })
    expect(await page.textContent('h1')).toContain('No ingest runs')
    await page.context().close()
  })

  it('a group is discarded beside its list, in three clicks and with a reason', async () => {
    const page = await browser.signIn(console.url)
    await page.click('nav a[href="/dead-letters"]')
    await page.click('a[href*="kind=discard"] >> nth=1')
    await page.waitForSelector('#beside .dialog')
    expect(page.url()).toBe(`${console.url}/dead-letters`)
    expect(await page.textContent('#beside h1')).toBe('Discard 9 dead letters')
    await screenshot(page, 'dead-letter-beside')
    await page.fill('#why', 'the first ones are right')
    await page.click('#beside button[type=submit]')
    await page.waitForURL(/\/operations\/2$/)
    await page.click('text=Pause')
    await page.waitForSelector('text=Paused at 0 of 9')
    expect(browser.complaints).toEqual([])
    await page.context().close()
  })

  it('keys replay the chosen group, or the ticked letters', async () => {
    const page = await browser.signIn(console.url)
    await page.goto(`${console.url}/dead-letters`)
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('r')
    await page.waitForSelector('#beside .dialog >> text=Replay 9 dead letters')
    await page.keyboard.press('Escape')
    await page.keyboard.press('Escape')
    await page.waitForSelector('#beside .dialog', { state: 'detached' })
    await page.goto(`${console.url}/dead-letters?view=list`)
    for (const key of 'jxjxr') await page.keyboard.press(key)
    await page.waitForSelector('text=Replay 2 dead letters')
    expect(browser.complaints).toEqual([])
    await page.context().close()
  })

  it.each(['/dead-letters', '/dead-letters?view=list'])(
    '%s says that there are newer ones, and moves no row',
    async (path) => {
      const page = await browser.signIn(console.url)
      await page.goto(console.url + path)
      const rows = await page.locator('tbody tr').allTextContents()
      await bury(world, [finishedJourney().bytes], { message: 'a new one' })
      await page.waitForSelector('text=1 newer: show')
      expect((await page.locator('tbody tr').allTextContents()).length).toBe(rows.length)
      await page.click('text=1 newer: show')
      await page.waitForSelector('tbody >> text=a new one')
      await world.rows(`delete from dead_letters where error_message = 'a new one'`)
      if (path === '/dead-letters') await page.waitForSelector('text=Fewer are open now: show')
      expect(browser.complaints).toEqual([])
      await page.context().close()
    },
  )

  it('works without script: a person can replay one letter', async () => {
    const page = await browser.signIn(console.url, { javaScriptEnabled: false })
    await page.goto(`${console.url}/dead-letters/41`)
    await page.click('text=Replay…')
    await page.fill('#why', 'fixed')
    await page.click('button[type=submit] >> text=Replay')
    await page.waitForURL(/\/dead-letters\/41$/)
    expect(await page.textContent('h1')).toBe('Finished Journey is on its way again')
    await page.context().close()
  })
})

const CAN_HAVE_FOCUS = 'a[href], button, input, select, textarea, summary, [tabindex]'
/** Goes to the first thing that a person can reach by Tab, and says how many others there are. */
const TABBABLE = `(() => {
  // Of a group of radio buttons it is the chosen one.
  globalThis.tabbable = [...document.querySelectorAll('${CAN_HAVE_FOCUS}')].filter((each) =>
    !each.disabled && !each.matches('[type=hidden], [type=radio]:not(:checked)') && each.checkVisibility())
  tabbable[0].focus()
  return tabbable.length - 1
})()`
/** Which of these has the focus, and whether that is seen. */
const FOCUSED = `(({ activeElement: element }) => {
  const { outlineStyle, outlineWidth } = getComputedStyle(element)
  return { index: tabbable.indexOf(element), isSeen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1 }
})(document)`
const MOVING = `[...document.querySelectorAll('*')].filter((each) => {
  const { transitionDuration, animationName } = getComputedStyle(each)
  return parseFloat(transitionDuration) > 0 || animationName !== 'none'
}).map((each) => each.outerHTML.slice(0, 80))`

/** One difference of each kind, of which two are known. */
async function makeDrift(world: World): Promise<void> {
  await world.rows(`insert into drifts (environment, kind, path, value, events, first_seen_at, last_seen_at, count, share,
      sample, acknowledged_by, acknowledged_at)
    select case when n = 4 then 'sandbox' else 'live' end, kind, path, value, events, now() - n * interval '5 h',
      now() - n * interval '7 min', 7 * n * n * n, case kind when 'unreadable' then 0.034 end, sha256(kind::bytea),
      case when n > 4 then 'olivia' end, case when n > 4 then now() end
    from (values (1, 'value', 'body.systemDecision', 'Escalated', '{finished_journey,updated_journey}'::text[]),
      (2, 'field', 'body.manualReviewDetails.stepReviewDecisions', '', '{updated_journey}'),
      (3, 'unreadable', '', '', '{unrecognised}'),
      (4, 'encoding', 'Content-Encoding', 'br', '{unrecognised}'),
      (5, 'event', 'event', 'Archived Journey', '{unrecognised}'),
      (6, 'type', 'body.updatedAMLVersionNumber', 'text instead of integer', '{aml_monitor_update}'))
      as t(n, kind, path, value, events)`)
  await world.rows(`insert into drift_looks values (true, now(), 0, now() - interval '9 s',
    '{"live": {"events": 48211, "unreadable": 1640, "untold": 0}}', now() - interval '20 h')`)
}

/** Letters of three groups, and an operation on one of them that has failed in part. */
async function makeDeadLetters(world: World): Promise<void> {
  const bodies = (count: number, fields = {}) =>
    Array.from({ length: count }, () => finishedJourney(fields).bytes)
  await bury(world, bodies(41), { message: 'numeric field overflow', code: '22003' })
  await bury(world, bodies(9), {
    reason: 'conflict',
    message: 'Another body is stored under the same event id.',
  })
  await bury(world, bodies(2), {
    reason: 'worker_crashed',
    environment: 'sandbox',
    message: 'Its worker died.',
  })
  const [row] = await world.rows<{ fingerprint: string }>('select fingerprint from dead_letters where id = 1')
  await startOperation(world.db, {
    kind: 'replay',
    filter: { fingerprint: row?.fingerprint },
    expected: 41,
    sample: 5,
    rate: 50,
    stopAfter: 10,
    reason: 'raised the column limit',
    actor: 'olivia',
  })
  await world.rows(`update operations set state = 'waiting_for_go', taken = 5, landed = 3, failed = 2`)
  await world.rows('update dead_letters set operation_id = 1 where id <= 2')
}
