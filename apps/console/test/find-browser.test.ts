import { type Browser, type Page, screenshot, startBrowser } from '@sluice/testkit/browser'
import { type OpenedConsole, openConsole } from '@sluice/testkit/console'
import { program } from '@sluice/testkit/programs'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { invalidIn, problemsOf } from './look.ts'

const chromium = program('chromium')
/** Those that differ most from the wide ones. */
const ON_PHONE = new Set(['event-hostile', 'journey-as-of', 'search-text'])
const IN_ALL_LOOKS = new Set(['events', 'event', 'journey'])
/** The row that has the focus, and whether that is seen. */
const FOCUSED = `(({ activeElement: link }) => {
  const isSeen = getComputedStyle(link).outlineStyle !== 'none'
  return link.closest('tr').sectionRowIndex + 1 + (isSeen ? ': visible' : ': not seen')
})(document)`
const HOSTILE = `</pre><script>document.title='hacked'</script>"'><img src=x onerror="document.title='hacked'">`

describe.skipIf(!chromium)('finding in a browser', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let console: OpenedConsole
  let browser: Browser
  let page: Page
  let post: (event: string, body: Record<string, unknown>) => Promise<void>
  const keys: string[] = []
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    console = stack.use(await openConsole(world))
    const door = stack.use(await openDoor(world))
    stack.use(await openWorker(world))
    let sent = 0
    post = async (event, body) => {
      const eventId = `event-${++sent}`
      const answer = await door.post(JSON.stringify({ event, body: { eventId, ...body } }))
      keys.push(((await answer.json()) as { id: string }).id)
      await eventually(async () => {
        const sql =
          'select (select count(*) from events)::int + (select count(*) from dead_letters)::int as n'
        return (await world.rows<{ n: number }>(sql))[0]?.n === sent
      })
    }
    const journey = { journeyId: '6925c1e7a4b0f83d5e9172ac', referenceNo: 'CUST-0048213' }
    await post('Finished Step', { ...journey, stepType: 'Document', systemDecision: 'Incomplete' })
    await post('Finished User Steps', { ...journey, systemDecision: 'Incomplete' })
    await post('Finished Journey', { ...journey, systemDecision: 'Refer' })
    const approved = { manualDecision: 'Approved', finalDecision: 'Approved', action: 'Manual Review' }
    await post('Updated Journey', { ...journey, systemDecision: 'Refer', ...approved })
    await post('Finished Step', { ...journey, systemDecision: 'Incomplete' })
    await post('Finished Journey', { ...journey, eventId: 'event-3', systemDecision: 'Complete' })
    await post('Finished User Steps', { journeyId: '68f3d20b91c47ae65d0b38f4', referenceNo: 'CUST-0048213' })
    await post(HOSTILE, {
      journeyId: HOSTILE,
      referenceNo: HOSTILE,
      systemDecision: HOSTILE,
      [HOSTILE]: HOSTILE,
    })
    browser = stack.use(await startBrowser(chromium as string))
    page = await browser.signIn(console.url)
  })
  afterAll(() => stack.disposeAsync())

  it('every page is valid, keeps nobody out in both themes and on a phone, and a hostile body is text', async () => {
    const pages = {
      events: '/events',
      event: `/events/${keys[3]}`,
      'event-hostile': `/events/${keys[7]}`,
      journey: '/journeys/live/6925c1e7a4b0f83d5e9172ac',
      'journey-as-of': `/journeys/live/6925c1e7a4b0f83d5e9172ac?at=${keys[2]}`,
      'journey-missing': '/journeys/live/68f3d20b91c47ae65d0b38f4',
      'journey-hostile': `/journeys/live/${encodeURIComponent(HOSTILE)}`,
      conflicts: '/events?view=conflicts',
      'search-list': '/search?q=CUST',
      'search-text': `/search?q=${encodeURIComponent('reference CUST-0048213, event-4 and eventId: missing-1')}`,
    }
    for (const [name, path] of Object.entries(pages)) {
      const text = await (await console.get(path, { headers: { accept: 'text/html' } })).text()
      expect([name, await invalidIn(text)]).toEqual([name, []])
      for (const [look, width, colorScheme] of [
        ['wide', 1440, 'light'],
        ['phone', 390, 'dark'],
        ['wide-dark', 1440, 'dark'],
        ['phone-light', 390, 'light'],
      ] as const) {
        if (look !== 'wide' && !(IN_ALL_LOOKS.has(name) || (look === 'phone' && ON_PHONE.has(name)))) continue
        await page.setViewportSize({ width, height: 900 })
        await page.emulateMedia({ colorScheme })
        await page.goto(console.url + path)
        expect([name, look, await problemsOf(page)]).toEqual([name, look, []])
        expect(await page.title()).not.toBe('hacked')
        await screenshot(page, `find-${name}-${look}`)
      }
    }
    expect(browser.complaints).toEqual([])
  })

  it('an event opens beside the list with an address of its own, and Back closes it', async () => {
    await page.setViewportSize({ width: 1440, height: 900 })
    await page.goto(`${console.url}/events`)
    await page.click('tbody tr:has-text("Updated Journey") a')
    await page.waitForSelector('#detail article')
    await page.emulateMedia({ colorScheme: 'light' })
    expect(page.url()).toBe(`${console.url}/events/${keys[3]}`)
    expect(await page.textContent('#detail h1')).toContain('Updated Journey landed')
    expect(await page.locator('tbody').first().isVisible()).toBe(true)
    await page.locator('#detail details summary').last().click()
    await screenshot(page, 'find-beside')
    await page.goBack()
    await page.waitForSelector('#detail article', { state: 'detached' })
    expect(page.url()).toBe(`${console.url}/events`)
    expect(browser.complaints).toEqual([])
  })

  it('goes by keys from row to row, also after a click, and Esc closes what is open beside', async () => {
    await page.goto(`${console.url}/events?via=inbox`)
    const address = page.url()
    await page.click('tbody tr:nth-child(2) a[hx-get]')
    await page.waitForSelector('#detail article')
    await page.evaluate(`document.querySelector('#detail article').id = 'before'`)
    await page.keyboard.press('j')
    expect(await page.evaluate(FOCUSED)).toBe('3: visible')
    await page.keyboard.press('Enter')
    await page.waitForSelector('#detail article:not(#before)')
    await page.keyboard.press('k')
    await page.keyboard.press('Escape')
    await page.waitForSelector('#detail article', { state: 'detached' })
    expect([page.url(), await page.evaluate(FOCUSED)]).toEqual([address, '2: visible'])
    await page.keyboard.press('Enter')
    await page.click('#detail >> text=Close')
    expect(await page.locator('#detail article').count()).toBe(0)
    await page.goBack()
    await page.waitForSelector('main > article')
    expect(browser.complaints).toEqual([])
  })

  it('says how many are newer without moving a row, and shows them when asked', async () => {
    await page.goto(`${console.url}/events`)
    const before = await page.locator('tbody tr').allTextContents()
    await post('Finished Step', { journeyId: 'another' })
    await page.waitForSelector('text=1 newer: show')
    expect((await page.locator('tbody tr').allTextContents()).length).toBe(before.length)
    await page.click('text=1 newer: show')
    await page.waitForSelector('tbody tr:first-child >> text=another')
  })

  it('says nothing of newer events while that is paused', async () => {
    await page.goto(`${console.url}/events`)
    await page.click('text=Pause')
    await page.waitForSelector('text=Go live')
    expect(await page.locator('[hx-sse\\:connect]').count()).toBe(0)
    await page.click('text=Failed')
    await page.click('text=Go live')
    await page.waitForSelector('text=Pause')
    expect(new URL(page.url()).search).toBe('?view=failed')
  })

  it('a journey and a view of dead letters say that there is something newer', async () => {
    const other = await page.context().newPage()
    await page.goto(`${console.url}/journeys/live/another`)
    await other.goto(`${console.url}/events?view=conflicts`)
    const events = await page.locator('.timeline > li').count()
    await post('Finished Step', { journeyId: 'another' })
    await page.waitForSelector('text=1 newer: show')
    expect(await page.locator('.timeline > li').count()).toBe(events)
    await page.click('text=1 newer: show')
    await page.waitForFunction(`document.querySelectorAll('.timeline > li').length === ${events + 1}`)
    await post('Finished Step', { journeyId: 'another', eventId: 'event-1' })
    await other.waitForSelector('text=1 newer: show')
    await other.close()
  })

  it('the box takes a paste of many lines, and a reference number leads to its cause in two clicks', async () => {
    await page.goto(console.url)
    await page.evaluate(`{
      const data = new DataTransfer()
      data.setData('text/plain', 'eventId: event-1\\nreference: CUST-0048213')
      const input = document.querySelector('.box input')
      input.focus()
      input.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }))
    }`)
    await page.press('.box input', 'Enter')
    await page.waitForSelector('h1:has-text("All 2 names")')
    await page.fill('.box input', '68f3d20b91c47ae65d0b38f4')
    await page.press('.box input', 'Enter')
    await page.waitForURL(/\/journeys\/live\/68f3d20b91c47ae65d0b38f4$/)
    expect(await page.textContent('.note:not([hidden])')).toContain('no decision has come yet')
  })

  it('without script a person finds and opens the same', async () => {
    const plain = await browser.signIn(console.url, { javaScriptEnabled: false })
    await plain.fill('.box input', '6925c1e7a4b0f83d5e9172ac')
    await plain.press('.box input', 'Enter')
    expect(await plain.textContent('h1')).toContain('Approved by a reviewer')
    await plain.click('.timeline a:has-text("Updated Journey")')
    expect(await plain.textContent('h1')).toContain('Updated Journey landed')
    await plain.context().close()
  })
})
