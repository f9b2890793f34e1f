import { createWorld, type World } from '@sluice/testkit/world'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { announceProcess, describeProcess } from '../src/db/index.ts'
import { conditionsOf } from '../src/operations/alerts/conditions.ts'
import { createStorageFacts } from '../src/operations/alerts/storage-facts.ts'
import { readState } from '../src/operations/state/index.ts'
import { createLog, type Source } from '../src/runtime/index.ts'

const api = 'https://api.idwise.com'
const LIVE: Source = { name: 'uae-live', kind: 'live', api }
const SANDBOX: Source = { name: 'qat-test', kind: 'sandbox', api }
const HOUR_MS = 3_600_000

describe('the state of several sources', () => {
  let stack: AsyncDisposableStack
  let world: World
  beforeEach(async () => {
    stack = new AsyncDisposableStack()
    world = stack.use(await createWorld('inbox'))
    const self = describeProcess('ingest', undefined)
    stack.use(announceProcess(world.db, self, createLog('test', 'silent')))
    await expect.poll(() => world.rows('select from processes')).toHaveLength(1)
    const before = Date.now() - HOUR_MS
    await world.rows(
      `insert into minutes (minute, process, role, counters) values (date_trunc('minute', now()), $1, 'ingest', $2)`,
      [
        self.id,
        JSON.stringify({
          counts: {},
          last: { 'uae-live': before, 'qat-test': before, 'old-name': before },
          lastRefused: Date.now(),
        }),
      ],
    )
  })
  afterEach(() => stack.disposeAsync())

  const stateWith = (...sources: Source[]) => readState({ db: world.db, queue: undefined, sources })
  /** Name, subject, severity and first line of the conditions of these names. */
  async function told(names: RegExp, ...sources: Source[]) {
    const state = await stateWith(...sources)
    const { recorded } = state.figures
    if (!recorded) throw new Error('Postgres is there')
    const { found } = conditionsOf({
      state,
      recorded,
      upMs: 60_000,
      storage: await createStorageFacts()({ db: world.db, queue: undefined }, []),
    })
    return found
      .filter(({ name }) => names.test(name))
      .map(({ name, subject, severity, text }) => [name, subject, severity, text.split('\n')[0]])
  }
  const refuse = (environment: string, minutesAgo: number) =>
    world.rows(
      `insert into refusals (event_key, environment, first_refused_at, last_refused_at, deliveries)
        select sha256(($1 || $2::text)::bytea), $1, at, at, 1
        from (select now() - $2::float8 * interval '1 minute' as at) as t`,
      [environment, minutesAgo],
    )

  it('names all that are configured, and those of which events came', async () => {
    const { recorded } = (await stateWith(LIVE, { ...LIVE, name: 'new' })).figures
    const names = Object.keys(recorded?.flow.lastEvents ?? {})
    expect(names.sort()).toEqual(['new', 'old-name', 'qat-test', 'uae-live'])
  })

  it('tells the silence of each live source, and of no sandbox', async () => {
    await world.rows(
      `insert into minutes (minute, process, role, counters)
        select date_trunc('hour', now()) - weeks * interval '7 days' + minute * interval '1 minute', name, 'ingest',
          jsonb_build_object('counts', jsonb_build_object('answers ' || name || ' accepted', 3))
        from unnest('{uae-live,qat-test,old-name}'::text[]) name, generate_series(1, 4) weeks,
          generate_series(0, 59, 4) minute`,
    )
    expect(await told(/silence/, LIVE, SANDBOX)).toEqual([
      ['silence', 'uae-live', 'notice', expect.stringMatching(/^No uae-live event for 60 min/)],
    ])
    const state = await stateWith(LIVE, SANDBOX)
    expect(state.causes.find(({ kind }) => kind === 'quiet')?.text).toMatch(
      /^No uae-live event for 60 min; [^.]*\.$/,
    )
    expect(await told(/silence/, SANDBOX)).toEqual([])
  })

  it('counts refusals of each, and calls people for live ones alone', async () => {
    await refuse('qat-test', 27)
    await refuse('qat-test', 50)
    expect(await told(/refusing|given-up/, LIVE, SANDBOX)).toEqual([
      [
        'refusing',
        '',
        'page',
        expect.stringContaining('Ingests refuse events (qat-test 1). IDWise gives up on'),
      ],
      [
        'refusing',
        'IDWise gives up soon sandbox',
        'notice',
        expect.stringContaining('IDWise gives up on the refused event in'),
      ],
      ['given-up', 'sandbox', 'notice', 'IDWise has given up on 1 event that Sluice refused (qat-test 1).'],
    ])
    const [refusing] = await told(/refusing/, SANDBOX)
    expect(refusing?.slice(0, 3)).toEqual(['refusing', '', 'notice'])
    await refuse('uae-live', 26)
    await refuse('unknown', 51)
    expect(await told(/refusing|given-up/, LIVE, SANDBOX)).toEqual([
      ['refusing', '', 'page', expect.stringContaining('(qat-test 1, uae-live 1)')],
      ['refusing', 'IDWise gives up soon', 'page', expect.stringContaining('the first of 2')],
      ['given-up', '', 'page', expect.stringMatching(/\((unknown 1, qat-test 1|qat-test 1, unknown 1)\)\.$/)],
    ])
    const { recorded } = (await stateWith(LIVE, SANDBOX)).figures
    expect(recorded?.refusals).toMatchObject({
      awaited: 2,
      lost: 2,
      byEnvironment: { 'qat-test': { awaited: 1, lost: 1 }, 'uae-live': { awaited: 1, lost: 0 } },
    })
  })
})
