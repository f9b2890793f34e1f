import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@sluice/embedded'
import { planErasure, search } from '@sluice/shared/operations'
import { createQueueAdmin } from '@sluice/shared/queue'
import { createLog } from '@sluice/shared/runtime'
import { openConsole } from '@sluice/testkit/console'
import { addressOf, PROGRAMS, type Running, run, runIngest, runWorker, SERVES } from '@sluice/testkit/process'
import { exchange } from '@sluice/testkit/raw-http'
import { createWorld, eventually, LIVE_TOKEN, type World } from '@sluice/testkit/world'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const SOURCES = 'live sandbox uae-live:live qat-test:sandbox@https://api-qat.idwise.com'
const UAE = 'a-token-of-the-emirates'
const QATAR = 'a-token-of-qatar-in-the-sandbox'
const TOKENS: Record<string, string> = { live: LIVE_TOKEN, 'uae-live': UAE, 'qat-test': QATAR }

describe('several sources, as processes', () => {
  const stack = new AsyncDisposableStack()
  let world: World
  let ingest: Running
  let worker: Running
  let url: string
  let metricsPort: number
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  stack.defer(() => rmSync(folder, { recursive: true }))
  const secret = join(folder, 'uae')
  const writeSecret = (text: string) => {
    writeFileSync(`${secret}.next`, text)
    renameSync(`${secret}.next`, secret)
  }

  beforeAll(async () => {
    world = stack.use(await createWorld('redis'))
    writeSecret(`bearer:${UAE}`)
    metricsPort = await freePort()
    ingest = stack.use(
      runIngest({
        ...world.env,
        METRICS_PORT: String(metricsPort),
        IDWISE_SOURCES: SOURCES,
        IDWISE_UAE_LIVE_CREDENTIALS_FILE: secret,
        IDWISE_QAT_TEST_CREDENTIALS: `bearer:${QATAR}`,
        IDWISE_QAT_TEST_ALLOWED_IPS: '127.0.0.0/8',
        IDWISE_ALLOWED_IPS: '127.0.0.1',
        IDWISE_BAHRAIN_CREDENTIALS: 'bearer:of-a-source-that-is-not-named',
      }),
    )
    // It does not know the further sources, as a worker of a release before.
    worker = stack.use(runWorker(world.env))
    url = await addressOf(ingest)
    await worker.printed(SERVES.worker)
  })
  afterAll(() => stack.disposeAsync())

  const eventOf = (eventId: string, journeyId: string) =>
    JSON.stringify({
      event: 'Finished Journey',
      body: { eventId, journeyId, referenceNo: `REF-${journeyId}`, systemDecision: 'Complete' },
    })
  const post = (source: string, body: string, token = TOKENS[source]) =>
    fetch(`${url}/webhooks/idwise/${source}`, {
      method: 'POST',
      body,
      headers: { authorization: `Bearer ${token}` },
    })

  it('are each let in with their own credentials alone, and land by a worker that does not know them', async () => {
    for (const source of Object.keys(TOKENS)) {
      for (const [owner, token] of Object.entries(TOKENS)) {
        const { status } = await post(source, eventOf('one-id', 'one-journey'), token)
        expect([source, owner, status]).toEqual([source, owner, source === owner ? 200 : 401])
      }
    }
    const stored = () =>
      world.rows(`select environment, event_id, journey_id, kind from events order by environment`)
    await eventually(async () => (await stored()).length === 3)
    expect(await stored()).toEqual(
      ['live', 'qat-test', 'uae-live'].map((environment) => ({
        environment,
        event_id: 'one-id',
        journey_id: 'one-journey',
        kind: 'finished_journey',
      })),
    )
    expect(await world.rows('select environment from journeys order by 1')).toHaveLength(3)
    expect(await world.rows('select from dead_letters')).toEqual([])
    expect(ingest.output()).toMatch(/IDWISE_BAHRAIN_CREDENTIALS[^\n]*these credentials are of no source/)
  })

  it('of which there is none answers each request as a source does to wrong credentials', async () => {
    const port = Number(new URL(url).port)
    const heads = {
      POST: 'content-length: 2\r\n\r\n{}',
      GET: '\r\n',
      HEAD: '\r\n',
      PUT: 'content-length: 0\r\n\r\n',
      OPTIONS: '\r\n',
      'POST ': 'expect: 100-continue\r\ncontent-length: 2\r\n\r\n{}',
      'POST  ': 'content-length: 300000\r\n\r\n',
      'POST   ': 'authorization: Bearer a\r\nauthorization: Bearer b\r\ncontent-length: 2\r\n\r\n{}',
    }
    for (const [method, rest] of Object.entries(heads)) {
      const ask = async (name: string) => {
        const head = `${method.trim()} /webhooks/idwise/${name} HTTP/1.1\r\nhost: x\r\n${rest}`
        return (await exchange(port, [head])).text.replace(/date: .*/i, 'date')
      }
      const known = await ask('uae-live')
      expect([method, known.slice(9, 12)]).toEqual([method, /PUT|OPT/.test(method) ? '405' : '401'])
      expect(await ask('uae-test')).toBe(known)
    }
    const { status } = await post('UAE-LIVE', '{}', UAE)
    expect(status).toBe(404)
  })

  it('change their secrets by file, each by itself', async () => {
    const next = 'the-next-token-of-the-emirates'
    writeSecret(`bearer:${next}`)
    await eventually(async () => (await post('uae-live', eventOf('rotated', 'r'), next)).status === 200)
    expect((await post('uae-live', eventOf('rotated', 'r'), UAE)).status).toBe(401)
    expect((await post('qat-test', eventOf('rotated', 'r'))).status).toBe(200)
    writeSecret(`bearer:${UAE}`)
    await eventually(async () => (await post('uae-live', eventOf('rotated', 'r'))).status === 200)
  })

  it('have series of metrics of their own, and what has no source has one', async () => {
    await post('made-up-by-a-stranger', '{}', UAE)
    const labels = async () => {
      const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
      return new Set(
        [...text.matchAll(/sluice_answers_total\{environment="([^"]*)"/g)].map(([, name]) => name),
      )
    }
    await eventually(async () => (await labels()).has('none'))
    expect([...(await labels())].sort()).toEqual(['live', 'none', 'qat-test', 'uae-live'])
  })

  it('are all found by the box, offered by the filters and coloured by their kind in the console', async () => {
    await using console = await openConsole(world, { env: { IDWISE_SOURCES: SOURCES } })
    const text = async (path: string) => (await console.get(path)).text()
    const found = await text('/search?q=one-id')
    for (const name of Object.keys(TOKENS)) expect(found).toMatch(new RegExp(`of-${name}|badge live`))
    for (const path of ['/events', '/dead-letters?view=list']) {
      const [, offered = ''] = /<select name="environment">(.*?)<\/select>/s.exec(await text(path)) ?? []
      const names = [...offered.matchAll(/value="([^"]+)"/g)].map(([, name]) => name)
      expect(names).toEqual(['live', 'sandbox', 'uae-live', 'qat-test'])
    }
    const { items } = await console.json('/api/v1/events?environment=uae-live')
    expect(items.map(({ environment }: { environment: string }) => environment)).toContain('uae-live')
    expect(new Set(items.map(({ environment }: { environment: string }) => environment)).size).toBe(1)
    expect((await console.get('/journeys/qat-test/one-journey')).status).toBe(200)
    const styles = await text('/assets/console.css')
    expect(styles).toContain('.badge.of-uae-live { color: var(--bad); }')
    expect(styles).not.toContain('of-qat-test')
  })

  it('are known to commands that have no such setting, once events came', async () => {
    const log = createLog('test', 'silent')
    await using queue = world.workerConfig.queue && createQueueAdmin(world.workerConfig.queue, log)
    const stores = { db: world.db, queue, location: world.workerConfig.queue }
    const answer = await search(stores, 'one-id')
    expect(answer.kind === 'name' && answer.hits).toHaveLength(3)
    const plan = await planErasure(stores, { kind: 'journey', name: 'one-journey' })
    expect(plan.subjects.map(({ environment }) => environment).sort()).toEqual([
      'live',
      'qat-test',
      'sandbox',
      'uae-live',
    ])
    await eventually(async () => (await world.rows('select from minutes')).length > 0)
    const doctor = run(PROGRAMS.cli, ['doctor'], world.env)
    await doctor.exited
    expect(doctor.output()).toMatch(
      /WARN {2}Sources +events come from [\w, -]*uae-live[\w, -]*, which IDWISE_SOURCES does not name here/,
    )
  })

  it('are each sent to by the simulator', async () => {
    const simulator = run(
      PROGRAMS.cli,
      [
        'simulate',
        '--url',
        url,
        '--environment',
        'qat-test',
        '--journeys',
        '3',
        '--mix',
        'plain',
        '--seed',
        'q',
      ],
      { ...world.env, IDWISE_QAT_TEST_CREDENTIALS: `bearer:${QATAR}` },
    )
    expect([await simulator.exited, simulator.output()]).toEqual([0, expect.not.stringContaining('401')])
    await eventually(async () => {
      const sql = `select distinct environment from journeys where journey_id not in ('one-journey', 'r')`
      return (await world.rows(sql)).length === 1
    })
  })
})
