import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { OPERATOR } from './console.ts'

export type { Page } from 'playwright-core'

type Options = NonNullable<Parameters<Awaited<ReturnType<typeof chromium.launch>>['newContext']>[0]>

export type Browser = AsyncDisposable & {
  /** A context of its own, with nobody signed in. */
  open(options?: Options): Promise<BrowserContext>
  /** A page of a person who has signed in through the form. */
  signIn(url: string, options?: Options & { as?: typeof OPERATOR }): Promise<Page>
  /** What pages have complained about: reports of the CSP, errors of scripts, failed requests. */
  complaints: string[]
}

/** @param executablePath of a Chromium */
export async function startBrowser(executablePath: string): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
  })
  const complaints: string[] = []

  async function open(options: Options = {}): Promise<BrowserContext> {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
    context.on('page', (page) => {
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(`${page.url()}: ${message.text()}`)
      })
      page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error}`))
    })
    await context.addInitScript(() => {
      const { document } = globalThis as unknown as {
        document: { addEventListener(name: string, listener: (event: Violation) => void): void }
      }
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
        console.error(`CSP: ${violatedDirective} ${blockedURI}`),
      )
    })
    return context
  }

  return {
    complaints,
    open,
    async signIn(url, { as = OPERATOR, ...options } = {}) {
      const page = await (await open(options)).newPage()
      await page.goto(`${url}/sign-in`)
      await page.fill('#user', as.user)
      await page.fill('#secret', as.secret)
      await page.click('form[action="/sign-in"] button')
      await page.waitForURL((address) => !address.pathname.startsWith('/sign-in'))
      return page
    },
    [Symbol.asyncDispose]: () => browser.close(),
  }
}

type Violation = { violatedDirective: string; blockedURI: string }

const FOLDER = process.env.TEST_SCREENSHOTS

/** Writes a picture of the whole page into the folder TEST_SCREENSHOTS, if that is set. */
export async function screenshot(page: Page, name: string): Promise<void> {
  if (!FOLDER) return
  await mkdir(FOLDER, { recursive: true })
  await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: true, animations: 'disabled' })
}
