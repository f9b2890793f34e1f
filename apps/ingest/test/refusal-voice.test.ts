import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { alertSettings, listIncidents } from '@sluice/shared/operations'
import { createLog, createMetrics, DEFAULT_SOURCES } from '@sluice/shared/runtime'
import { createWorld, eventually } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRefusalVoice, type RefusalVoice } from '../src/refusal-voice.ts'

const log = createLog('test', 'silent')

describe('an ingest that refuses events', () => {
  let stack: AsyncDisposableStack
  let texts: string[]
  let channels: NonNullable<ReturnType<typeof alertSettings.ALERTS.parse>>
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    texts = []
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      texts.push((JSON.parse(body) as { text: string }).text)
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    stack.defer(() => new Promise<void>((resolve) => server.close(() => resolve())))
    const { port } = server.address() as AddressInfo
    channels = alertSettings.ALERTS.parse(`slack:http://127.0.0.1:${port}`) ?? []
  })
  afterEach(() => stack.disposeAsync())

  it('tells the minute at which IDWise gives up, and once how many came again', async () => {
    const world = stack.use(await createWorld('inbox'))
    const metrics = createMetrics()
    const deps = { db: world.db, sources: DEFAULT_SOURCES, now: Date.now, metrics, log, graceMs: 50 }
    const voice = stack.use(createRefusalVoice({ channels, heartbeat: undefined }, deps) as RefusalVoice)
    const at = Date.now()
    for (const id of ['a', 'b', 'b', 'c']) voice.refused({ id, at, environment: 'live' })
    await eventually(() => texts.length === 1)
    const minute = new Date(at + 1_800_000).toISOString().slice(11, 16)
    expect(texts[0]).toContain('IDWise gives up on the first of 3 refused events in')
    expect(texts[0]).toContain(`(${minute} UTC)`)
    for (const id of ['a', 'b', 'new']) voice.accepted(id)
    await eventually(() => texts.length === 2)
    expect(texts[1]).toContain(
      `Refused events: 3; 2 came again so far, and IDWise tries 1 more until ${minute}`,
    )
    expect(await listIncidents(world.db.pool)).toMatchObject([{ name: 'refusing' }])
  })

  it('names the sources, and tells once more if not only sandboxes are refused', async () => {
    const world = stack.use(await createWorld('inbox'))
    const metrics = createMetrics()
    const deps = { db: world.db, sources: DEFAULT_SOURCES, now: Date.now, metrics, log, graceMs: 0 }
    const voice = stack.use(createRefusalVoice({ channels, heartbeat: undefined }, deps) as RefusalVoice)
    voice.refused({ id: 'a', at: Date.now(), environment: 'sandbox' })
    await eventually(() => texts.length === 1)
    expect(texts[0]).toContain('this ingest refuses them (sandbox).')
    voice.refused({ id: 'b', at: Date.now(), environment: 'uae-live' })
    await eventually(() => texts.length === 2)
    expect(texts[1]).toContain('this ingest refuses them (sandbox, uae-live).')
  })
})
