import { readFileSync } from 'node:fs'
import { openConsole } from '@sluice/testkit/console'
import { createWorld } from '@sluice/testkit/world'
import { expect, it } from 'vitest'
import { invalidIn } from './look.ts'

const headingsOf = (page: string) =>
  [...readFileSync(`docs/${page}.md`, 'utf8').matchAll(/^#{2,3} (.+)$/gm)].map(([, text = '']) => text)

it('each heading of the runbooks is a page of the console, and a cause leads to its own', async () => {
  await using world = await createWorld('inbox')
  await using console = await openConsole(world)
  const get = async (path: string) => {
    const response = await console.get(path, { headers: { accept: 'text/html' } })
    return { status: response.status, text: await response.text() }
  }
  const overview = await get('/')
  expect(overview.text).toContain('<a href="/runbooks/operations/no-ingest-runs">What to do</a>')

  for (const page of ['operations', 'runbooks']) {
    for (const heading of headingsOf(page)) {
      const anchor = heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-')
      const { status, text } = await get(`/runbooks/${page}/${anchor}`)
      expect([heading, status, await invalidIn(text)]).toEqual([heading, 200, []])
      const links = [...text.matchAll(/ href="([^"]+)"/g)].map(([, href = '']) => href)
      expect(links.filter((href) => !/^[/#]/.test(href))).toEqual([])
    }
  }
  expect((await get('/runbooks/operations/no-ingest-runs')).text).toContain('<h1>No ingest runs</h1>')
  expect((await get('/runbooks/operations/none')).status).toBe(404)
  for (const path of ['/runbooks/style/x', '/runbooks/operations/..%2Fx']) {
    expect((await get(path)).status).toBe(400)
  }
})
