import { createHash } from 'node:crypto'
import { type OpenedConsole, openConsole, VIEWER } from '@sluice/testkit/console'
import { bury } from '@sluice/testkit/dead-letter'
import { finishedJourney } from '@sluice/testkit/event'
import { createWorld, eventually, openDoor, openWorker, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const HTML = { accept: 'text/html' }
const HOSTILE = '</pre><script>alert(1)</script>'

describe('dead letters on the console', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let console: OpenedConsole
  beforeAll(async () => {
    world = stack.use(await createWorld('inbox'))
    console = stack.use(await openConsole(world))
  })
  afterAll(() => stack.disposeAsync())

  const letters = (count: number, failed: Parameters<typeof bury>[2] = {}) =>
    bury(
      world,
      Array.from({ length: count }, () => finishedJourney({ referenceNo: 'R-1' }).bytes),
      failed,
    )
  const page = async (path: string, as?: typeof VIEWER) => {
    const response = await console.get(path, { headers: HTML, ...(as && { as }) })
    return { status: response.status, text: await response.text() }
  }
  const post = (path: string, fields: readonly (readonly [string, string])[], as?: typeof VIEWER) =>
    console.get(path, {
      method: 'POST',
      headers: { ...HTML, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(fields as [string, string][]).toString(),
      ...(as && { as }),
    })
  /** What a person sends with the form of a page. */
  const formOf = (text: string, filled: Record<string, string>) => {
    const hidden = [...text.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)]
    return [...hidden.map(([, name = '', value = '']) => [name, value] as const), ...Object.entries(filled)]
  }
  const api = (path: string, body: unknown, as?: typeof VIEWER) =>
    console.get(`/api/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(as && { as }),
    })

  it('a group is replayed from its row: the number is bound to the act, and a sample goes first', async () => {
    await letters(8, { message: 'column too narrow' })
    const groups = await page('/dead-letters')
    expect(groups.text).toContain('8 open in 1 group')
    expect(groups.text).toMatch(/href="\/dead-letters\?view=list[^"]+">column too narrow<\/a>/)
    const [, path = ''] = /href="(\/dead-letters\/act\?kind=replay[^"]+)"/.exec(groups.text) ?? []
    const dialog = await page(path.replaceAll('&amp;', '&'))
    expect(dialog.text).toContain('Replay 8 dead letters')
    expect(dialog.text).toContain('Of the first 5: 5 would land; 5 journeys would change')
    const form = formOf(dialog.text, {
      mode: 'sample',
      sample: '5',
      rate: '',
      stopAfter: '10',
      why: 'wider now',
    })

    expect((await post('/dead-letters/act', formOf(dialog.text, { why: ' ' }))).status).toBe(400)
    await letters(1, { message: 'column too narrow' })
    const refused = await post('/dead-letters/act', form)
    const again = await refused.text()
    expect([refused.status, again.includes('There are 9 now')]).toEqual([409, true])
    expect(again).toContain('wider now')
    const accepted = await post('/dead-letters/act', formOf(again, Object.fromEntries(form.slice(-5))))
    expect([accepted.status, accepted.headers.get('location')]).toEqual([303, '/operations/1'])
    expect((await post('/dead-letters/act', formOf(again, { why: 'twice' }))).status).toBe(409)

    stack.use(await openWorker(world))
    await eventually(async () =>
      (await page('/operations/1')).text.includes('The first 5 have ended. Go on with the other 4?'),
    )
    expect((await post('/operations/1/go', [])).headers.get('location')).toBe('/operations/1')
    await eventually(async () => (await page('/operations/1')).text.includes('Done: 9 of 9'))
    expect((await post('/operations/1/pause', [])).status).toBe(409)
    expect((await page('/operations')).text).toContain('wider now')
    const audit = (await page('/audit')).text
    expect(audit).toMatch(/start <a href="\/operations\/1">[\s\S]*9 open dead letters of group/)
    expect(audit).not.toContain('dead letter 1<')
    expect((await page('/dead-letters/1')).text).toContain('operation 1')
  })

  it('one letter shows its body as text, and is discarded and opened again with reasons', async () => {
    const { bytes } = finishedJourney({ fullName: HOSTILE, referenceNo: '<b>R</b>' })
    const [id = 0] = await bury(world, [bytes], { message: `odd ${HOSTILE}`, reason: 'unreadable' })
    const before = await page(`/dead-letters/${id}`)
    expect(before.text).not.toContain('<script>alert')
    expect(before.text).toContain('&lt;script&gt;alert')
    for (const [kind, state] of [
      ['discard', 'discarded'],
      ['undo', 'open'],
    ] as const) {
      const dialog = await page(`/dead-letters/act?kind=${kind}&ids=${id}`)
      const done = await post('/dead-letters/act', formOf(dialog.text, { why: `${kind} it` }))
      expect([done.status, done.headers.get('location')]).toEqual([303, `/dead-letters/${id}`])
      expect((await console.json(`/api/v1/dead-letters/${id}`)).state).toBe(state)
      expect((await page(`/dead-letters/${id}`)).text).toContain(`${kind} it`)
      const { eventKey, journeyId } = await console.json(`/api/v1/dead-letters/${id}`)
      expect((await page(`/journeys/live/${journeyId}`)).text).toContain(`${kind} it`)
      for (const query of [`eventKey=${eventKey}`, `journeyId=${journeyId}`]) {
        const acts = await console.json(`/api/v1/actions?${query}`)
        expect(acts.items[0]).toMatchObject({
          action: kind,
          target: `dead_letter ${id}`,
          reason: `${kind} it`,
        })
      }
      expect((await post('/dead-letters/act', formOf(dialog.text, { why: 'again' }))).status).toBe(409)
    }
  })

  it('the list is filtered by its address, and says of how many', async () => {
    await letters(60, { message: 'for the list', environment: 'sandbox' })
    const first = await page('/dead-letters?view=list&environment=sandbox&referenceNo=R-1&reason=')
    expect(first.text).toContain('60 dead letters open')
    const [, older = ''] = /href="([^"]+)" rel="next"/.exec(first.text) ?? []
    const second = await page(older.replaceAll('&amp;', '&'))
    expect(second.text.match(/name="ids"/g)).toHaveLength(10)
    expect((await page('/dead-letters?view=list&journeyId=none')).text).toContain('Clear filters')

    const items = []
    for (let path = '/api/v1/dead-letters?environment=sandbox&limit=25'; path; ) {
      const list = await console.json(path)
      expect(list.total).toBe(60)
      items.push(...list.items)
      path = list.next
    }
    expect(new Set(items.map(({ id }) => id)).size).toBe(60)
    const chosen = items.slice(0, 2).map(({ id }) => `ids=${id}`)
    expect((await page(`/dead-letters/act?kind=discard&${chosen.join('&')}`)).text).toContain(
      'Discard 2 dead letters',
    )
  })

  it('the API starts an operation on as many letters as were expected, and steers it', async () => {
    await letters(3, { message: 'by the api', reason: 'attempts_exhausted' })
    const { items } = await console.json('/api/v1/dead-letter-groups')
    const group = items.find(({ example }: { example: { errorMessage: string } }) =>
      example.errorMessage.startsWith('by the api'),
    )
    expect(group).toMatchObject({ count: 3, journeys: 3, runbook: expect.any(String) })
    const asked = { kind: 'discard', filter: { fingerprint: group.fingerprint }, reason: 'made up', rate: 1 }

    const changed = await api('operations', { ...asked, expected: 2 })
    expect([changed.status, await changed.json()]).toMatchObject([409, { count: 3 }])
    expect((await api('operations', { ...asked, filter: {}, expected: 3 })).status).toBe(422)
    expect((await api('operations', { ...asked, expected: 3, reason: ' ' })).status).toBe(400)
    expect((await api('operations', { ...asked, expected: 3, color: 'red' })).status).toBe(400)
    expect((await api('operations', { ...asked, expected: 3, sample: 2 })).status).toBe(400)
    const started = await api('operations', { ...asked, expected: 3 })
    const { id } = (await started.json()) as { id: number }
    expect(started.status).toBe(201)
    expect((await api(`operations/${id}/pause`, {})).status).toBe(200)
    expect((await api(`operations/${id}/go`, {})).status).toBe(409)
    expect((await api(`operations/${id}/cancel`, {})).status).toBe(200)
    expect((await api('operations/999/cancel', {})).status).toBe(404)
    expect(await console.json(`/api/v1/operations/${id}`)).toMatchObject({ state: 'cancelled', expected: 3 })
    const acts = await console.json(`/api/v1/actions?target=operation%20${id}&actor=olivia`)
    expect(acts.items.map(({ action }: { action: string }) => action)).toEqual(['cancel', 'pause', 'start'])
  })

  it('a conflict is compared with what has landed, and its exact bytes are a file', async () => {
    const { eventId, bytes } = finishedJourney({ systemDecision: 'Complete' })
    const door = stack.use(await openDoor(world))
    await door.post(bytes as Buffer<ArrayBuffer>)
    const other = String(bytes).replace('"Complete"', '"Refer"').replace('{', '{ ')
    await door.post(other)
    const sql = `select id::int from dead_letters where event_id = '${eventId}'`
    const { id } = await eventually(async () => (await world.rows<{ id: number }>(sql))[0])

    const { text } = await page(`/dead-letters/${id}`)
    expect(text).toContain('Compared with what has landed')
    expect(text).toContain('<del><code>&quot;Complete&quot;</code></del>')
    expect(text).toContain('<ins><code>&quot;Refer&quot;</code></ins>')
    const file = await console.get(`/dead-letters/${id}/raw`)
    const raw = Buffer.from(await file.arrayBuffer())
    expect([raw.toString(), file.headers.get('content-type')]).toEqual([other, 'application/octet-stream'])
    const sha256 = createHash('sha256').update(raw).digest('hex')
    expect(text).toContain(sha256)
    expect(await console.json(`/api/v1/dead-letters/${id}`)).toMatchObject({
      sha256,
      conflict: { changes: [{ before: '"Complete"', after: '"Refer"' }] },
    })
    expect((await console.get('/dead-letters/999999/raw')).status).toBe(404)
  })

  it('an act on one letter is bound to its number too, and its group remembers the reason', async () => {
    const [id, other] = await letters(2, { message: 'of two' })
    const dialog = await page(`/dead-letters/act?kind=discard&ids=${id}`)
    expect(dialog.text).toContain('of two')
    const form = formOf(dialog.text, { why: 'a test of the sender' })
    const wrong = form.map(([name, value]) => [name, name === 'expected' ? '2' : value] as const)
    const refused = await post('/dead-letters/act', wrong)
    expect([refused.status, (await refused.text()).includes('about 1 dead letter')]).toEqual([409, true])
    expect((await console.json(`/api/v1/dead-letters/${id}`)).state).toBe('open')
    expect((await post('/dead-letters/act', form)).status).toBe(303)
    expect((await page('/dead-letters')).text).toMatch(
      /olivia discarded <a href="[^"]+">letter \d+<\/a>: “a test of the sender”/,
    )
    const undo = await page(`/dead-letters/act?kind=undo&ids=${id}`)
    await post('/dead-letters/act', formOf(undo.text, { why: 'it was none' }))
    const { items } = await console.json('/api/v1/dead-letter-groups')
    const { fingerprint } = await console.json(`/api/v1/dead-letters/${other}`)
    const group = items.find((each: { fingerprint: string }) => each.fingerprint === fingerprint)
    expect(group.acts).toMatchObject([
      { letter: id, actor: 'olivia', action: 'undo', reason: 'it was none' },
      { letter: id, action: 'discard', reason: 'a test of the sender' },
    ])
  })

  it('a viewer sees no act, and may do none', async () => {
    const [id] = await letters(1, { reason: 'worker_crashed' })
    for (const path of ['/dead-letters', '/dead-letters?view=list', `/dead-letters/${id}`, '/operations/1']) {
      const { status, text } = await page(path, VIEWER)
      expect([path, status, /\/dead-letters\/act|action="\/operations/.test(text)]).toEqual([
        path,
        200,
        false,
      ])
    }
    expect((await page(`/dead-letters/act?kind=replay&ids=${id}`, VIEWER)).status).toBe(403)
    const form = [
      ['kind', 'replay'],
      ['ids', String(id)],
      ['expected', '1'],
      ['why', 'x'],
    ] as const
    expect((await post('/dead-letters/act', form, VIEWER)).status).toBe(403)
    expect((await post('/operations/1/cancel', [], VIEWER)).status).toBe(403)
    const asked = { kind: 'replay', filter: { ids: [id] }, expected: 1, reason: 'x' }
    expect((await api('operations', asked, VIEWER)).status).toBe(403)
    expect((await api('operations/1/cancel', {}, VIEWER)).status).toBe(403)
  })

  it.each([
    '/dead-letters?view=list&before=x',
    '/dead-letters?view=list&fingerprint=x',
    '/dead-letters?view=list&reason=x',
    '/dead-letters?view=list&failedSince=x',
    `/dead-letters?view=list&journeyId=${'x'.repeat(600)}`,
    '/dead-letters?view=list&journeyId=a%00b',
    '/dead-letters/x',
    '/dead-letters/act?kind=erase&ids=1',
    '/dead-letters/act?kind=replay&ids=x',
    '/operations?before=-1',
    '/operations/1e99',
    '/audit?before=x',
    '/audit?target=a%00b',
    '/api/v1/dead-letters?limit=101',
    '/api/v1/dead-letters?before=x',
    '/api/v1/actions?limit=0',
    '/api/v1/operations?limit=1.5',
  ])('%s is answered 400 in words', async (path) => {
    const { status, text } = await page(path)
    expect([status, /\[object|Invalid|expected |received/.test(text)]).toEqual([400, false])
  })

  it('what is not there is answered 404, and an act without letters 422', async () => {
    for (const path of ['/dead-letters/999999', '/operations/999999', '/api/v1/dead-letters/999999']) {
      expect((await page(path)).status).toBe(404)
    }
    expect((await page('/dead-letters/act?kind=replay')).status).toBe(422)
  })
})
