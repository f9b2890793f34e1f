import { announceProcess, describeProcess } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { type Browser, type Page, screenshot, startBrowser } from '@sluice/testkit/browser'
import { type OpenedConsole, openConsole } from '@sluice/testkit/console'
import { program } from '@sluice/testkit/programs'
import { createWorld, eventually, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createFastify } from '../src/context.ts'
import { html } from '../src/html.ts'
import { createLive } from '../src/live.ts'
import { fillState } from './fill-state.ts'

const chromium = program('chromium')
const log = createLog('test', 'silent')

describe.skipIf(!chromium)('the overview while it is open', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let console: OpenedConsole
  let browser: Browser
  let page: Page
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    console = stack.use(await openConsole(world))
    browser = stack.use(await startBrowser(chromium as string))
    page = await browser.signIn(console.url)
  })
  afterAll(() => stack.disposeAsync())

  const says = (text: string) => eventually(async () => (await page.textContent('h1'))?.includes(text))

  it('follows the state without being loaded again', async () => {
    await says('No ingest runs')
    for (const app of ['ingest', 'worker'] as const) {
      stack.use(announceProcess(world.db, describeProcess(app, undefined), log))
    }
    await says('No event has come yet')
    await fillState(world)
    await says('Events flow')
    await eventually(async () => (await page.locator('svg.bars >> nth=0').locator('rect.bad').count()) === 3)
    expect(await page.locator('a[href*="fingerprint="]').count()).toBe(3)
    const hours = await page.locator('svg.bars').nth(1).getAttribute('aria-label')
    expect(hours).toMatch(/twelve hours: \d{5} in all/)
    for (const [path, width] of [
      ['/', 1440],
      ['/', 390],
      ['/now', 1440],
      ['/now', 390],
    ] as const) {
      await page.setViewportSize({ width, height: 900 })
      await page.goto(console.url + path)
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
      await screenshot(page, `${path === '/' ? 'overview' : 'now'}-full-${width}`)
    }
    expect(browser.complaints).toEqual([])
  })

  it('has no stream while its tab is hidden', async () => {
    await Promise.all([page.waitForResponse(STREAM), page.goto(console.url)])
    const ended = Promise.race([
      page.waitForEvent('requestfinished', STREAM),
      page.waitForEvent('requestfailed', STREAM),
    ])
    await page.evaluate(hidden(true))
    await ended
    const again = page.waitForResponse(STREAM)
    await page.evaluate(hidden(false))
    await again
  })

  it('says that there are too many live pages, and goes on once there is a place', async () => {
    await page.goto('about:blank')
    const others = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const stop = new AbortController()
        const { body } = await console.get('/live/now', { signal: stop.signal })
        await body?.getReader().read()
        return stop
      }),
    )
    await page.goto(console.url)
    const before = await page.textContent('h1')
    await page.locator('#away').waitFor({ state: 'visible' })
    expect(await page.textContent('#away')).toMatch(/^There are 50 live pages already\. What you see /)
    expect(await page.textContent('h1')).toBe(before)
    others.pop()?.abort()
    await page.locator('#away').waitFor({ state: 'hidden' })
    for (const stop of others) stop.abort()
  })

  it('is computed as often for 50 pages as for one', async () => {
    const app = createFastify([])
    app.decorateRequest('mayStay', () => true)
    await using live = createLive(log)
    let computed = 0
    app.get('/', (_request, reply) => live.stream('topic', async () => html`${++computed}`, reply))
    await app.listen({ port: 0 })
    const stop = new AbortController()
    const streams = Array.from({ length: 50 }, async () => {
      const { body } = await fetch(app.listeningOrigin, { signal: stop.signal })
      return body?.pipeThrough(new TextDecoderStream()).getReader()
    })
    const [first] = await Promise.all(streams)
    let text = ''
    while (!text.includes('data: 3')) text += (await first?.read())?.value ?? ''
    expect(computed).toBe(3)
    stop.abort()
    await app.close()
  })

  it('has its stream back within 10 s after the console was started again', async () => {
    const port = Number(new URL(console.url).port)
    await Promise.all([page.waitForResponse(STREAM), page.goto(console.url)])
    const complaints = [...browser.complaints]
    await console[Symbol.asyncDispose]()
    await page.locator('#away').waitFor({ state: 'visible' })
    expect(await page.textContent('#away')).toMatch(/^The console does not answer\. /)
    stack.use(await openConsole(world, { port }))
    await page.locator('#away').waitFor({ state: 'hidden', timeout: 10_000 })
    // The browser itself says that it could not connect.
    browser.complaints.splice(0, browser.complaints.length, ...complaints)
  })
})

const STREAM = (of: { url(): string }) => of.url().endsWith('/live/overview')
/** What a page sees when a person goes to another tab. */
const hidden = (
  is: boolean,
) => `Object.defineProperty(document, 'hidden', { value: ${is}, configurable: true })
  document.dispatchEvent(new Event('visibilitychange'))`
