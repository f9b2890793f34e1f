import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { startPostgres } from '@sluice/embedded'
import { createDb, type Db, migrateSchema, pingPostgres } from '@sluice/shared/db'
import { createLog } from '@sluice/shared/runtime'
import { createRandom } from '@sluice/simulator'
import { addressOf, runIngest } from '@sluice/testkit/process'
import { CREDENTIALS, createCorpus, SECRETS } from './corpus.ts'
import { type Exchanged, exchange, type Manner } from './exchange.ts'
import { type GoodClient, startGoodClient } from './good-client.ts'
import { mutate } from './mutate.ts'
import { isWithin, takeInbox } from './stored.ts'

export type FuzzOptions = {
  /** An ingest on this machine, with CREDENTIALS and without Redis. */
  url: string
  /** The process whose memory is watched. */
  pid: number
  /** The database of this ingest. Nobody else uses its inbox, which is emptied. */
  db: Db
  seed: number
  count: number
  connections: number
  /** The number of the first request. With `count` 1 it sends one request again. */
  from?: number
  /** The share of connections that stay open until the ingest closes them. Each takes up to 11 s. */
  lingering?: number
  limitMs: number
  progress?(sent: number, rssMb: number): void
}

export type Report = {
  sent: number
  /** Answers by status. `none` counts connections that were closed without an answer. */
  answers: Record<string, number>
  accepted: number
  /** Stored, though the bytes behind it ended the connection before its answer. */
  unanswered: number
  good: { accepted: number; slowestMs: number }
  rssMb: { before: number; after: number }
  /** Everything that is wrong; the number and the bytes of the request show how to see it again. */
  findings: string[]
}

const STATUSES = new Set([100, 200, 400, 401, 404, 405, 408, 413, 414, 429, 431])
const BATCH = 1_000
const MAX_FINDINGS = 20
const MAX_GROWTH_MB = 100
/** The share of the requests after which the heap of the ingest has its size. */
const WARM_UP = 0.2

/**
 * Sends mutated requests while a well-behaved client sends too, and compares answers with the inbox. Requests without
 * right credentials (strangers) come first: meanwhile only the events of the well-behaved client may be stored.
 * Request n is the same for the same seed.
 */
export async function fuzz(options: FuzzOptions): Promise<Report> {
  const { url, db, seed, count, from = 0, limitMs } = options
  const port = Number(new URL(url).port)
  const corpus = createCorpus()
  const report: Report = {
    sent: 0,
    answers: {},
    accepted: 0,
    unanswered: 0,
    good: { accepted: 0, slowestMs: 0 },
    rssMb: { before: 0, after: 0 },
    findings: [],
  }
  const isStranger = (n: number) => n % 5 < 2
  const requests = Array.from({ length: count }, (_, index) => from + index)
  const [strangers = [], welcome = []] = [requests.filter(isStranger), requests.filter((n) => !isStranger(n))]
  const limit = Date.now() + limitMs
  let mayBeUnanswered = 0
  let onlyStrangers = true

  function bytesOf(n: number): Buffer {
    const random = createRandom(`${seed}/${n}`)
    const from = isStranger(n) ? corpus.strangers : random.chance(0.6) ? corpus.valid : corpus.welcome
    const any = () => from[random.below(from.length)] as string
    const large = !isStranger(n) && random.chance(0.01)
    const first = large ? (corpus.large[random.below(corpus.large.length)] as string) : any()
    return Buffer.from(mutate(first, random, any), 'latin1')
  }

  function find(n: number, what: string): void {
    const bytes = bytesOf(n).toString('base64')
    report.findings.push(`${what}: --seed ${seed} --from ${n} --count 1, base64 ${bytes.slice(0, 4_000)}`)
  }

  async function sendOne(n: number, accepted: Map<number, string[]>): Promise<void> {
    const bytes = bytesOf(n)
    const random = createRandom(`${seed}/${n}/manner`)
    const manner: Manner =
      bytes.length > 0 && random.chance(options.lingering ?? 0)
        ? 'lingering'
        : random.weighted({ whole: 70, sliced: 26, abandoned: 4 })
    const exchanged = await exchange(port, bytes, manner, random)
    report.sent++
    const ids = checkAnswers(n, exchanged, manner)
    if (isStranger(n)) return
    mayBeUnanswered += Math.max(0, mentions(bytes) - ids.length)
    if (ids.length > 0) accepted.set(n, ids)
  }

  function checkAnswers(n: number, { text, end }: Exchanged, manner: Manner): string[] {
    const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
    for (const status of statuses) {
      report.answers[status] = (report.answers[status] ?? 0) + 1
      if (!STATUSES.has(status)) find(n, `answered ${status}`)
    }
    if (statuses.length === 0 && manner !== 'abandoned') report.answers.none = (report.answers.none ?? 0) + 1
    if (end === 'hung' || end === 'refused') find(n, end)
    if (SECRETS.some((secret) => text.includes(secret))) find(n, 'a secret in the answer')
    const ids = [...text.matchAll(/\{"id":"([0-9a-f]{64})"\}/g)].map(([, id]) => id as string)
    report.accepted += ids.length
    if (isStranger(n) && ids.length > 0) find(n, 'accepted without right credentials')
    return ids
  }

  async function sendAll(numbers: readonly number[], until: number): Promise<void> {
    for (let start = 0; start < numbers.length && Date.now() < until; start += BATCH) {
      const left = numbers.slice(start, start + BATCH)
      const accepted = new Map<number, string[]>()
      const good = startGoodClient(port)
      await Promise.all(
        Array.from({ length: options.connections }, async () => {
          for (let n = left.shift(); n !== undefined; n = left.shift()) {
            if (report.findings.length <= MAX_FINDINGS) await sendOne(n, accepted)
          }
        }),
      )
      await good.stop()
      await verify(accepted, good)
      report.rssMb.after = await residentMb(options.pid)
      if (report.sent > WARM_UP * count) report.rssMb.before ||= report.rssMb.after
      options.progress?.(report.sent, report.rssMb.after)
      if (report.findings.length > MAX_FINDINGS) return
    }
  }

  /** Each 200 must have its body stored. The other stored bodies have had no answer. */
  async function verify(accepted: ReadonlyMap<number, string[]>, good: GoodClient): Promise<void> {
    const stored = await takeInbox(db)
    report.good.accepted += good.accepted.size
    report.good.slowestMs = Math.max(report.good.slowestMs, Math.round(good.slowestMs))
    for (const failure of good.failures) report.findings.push(`the well-behaved client got ${failure}`)
    for (const [id, body] of good.accepted) {
      const rows = stored.get(id) ?? []
      if (rows.length !== 1 || !rows[0]?.raw.equals(body)) report.findings.push(`not stored as sent: ${id}`)
      stored.delete(id)
    }
    for (const [n, ids] of accepted) {
      const bytes = bytesOf(n)
      for (const id of ids) {
        const row = stored.get(id)?.find(({ raw }) => isWithin(raw, bytes))
        if (row) row.deliveries--
        else find(n, 'answered 200 and not stored as sent')
      }
    }
    for (const [id, rows] of stored) {
      const surplus = rows.reduce((sum, { deliveries }) => sum + deliveries, 0)
      report.unanswered += surplus
      if (surplus < 0) report.findings.push(`more answers than deliveries: ${id}`)
      if (onlyStrangers && surplus > 0) {
        report.findings.push(
          `a stranger's body is stored: ${rows[0]?.raw.toString('base64').slice(0, 4_000)}`,
        )
      }
    }
  }

  const warmUp = startGoodClient(port)
  await warmUp.stop()
  await verify(new Map(), warmUp)
  await sendAll(strangers, Date.now() + 0.4 * limitMs)
  onlyStrangers = false
  await sendAll(welcome, limit)

  if (report.unanswered > mayBeUnanswered)
    report.findings.push(`${report.unanswered} stored, at most ${mayBeUnanswered} of them without an answer`)
  const growth = report.rssMb.after - report.rssMb.before
  if (growth > MAX_GROWTH_MB) report.findings.push(`its memory has grown by ${growth} MB`)
  return report
}

/** How many requests in these bytes may have a credential. */
function mentions(bytes: Buffer): number {
  return bytes.toString('latin1').match(/(authorization|x-idwise-key)[ \t]*:/gi)?.length ?? 0
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => undefined)
  const kb = status
    ? /VmRSS:\s*(\d+)/.exec(status)?.[1]
    : (await promisify(execFile)('ps', ['-o', 'rss=', '-p', String(pid)]).catch(() => ({ stdout: '' })))
        .stdout
  return Math.round(Number(kb) / 1024)
}

/** `npm run fuzz -- --count 100000 --seed 1`: starts its own stores. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '100000' },
      seed: { type: 'string', default: '1' },
      from: { type: 'string', default: '0' },
      connections: { type: 'string', default: '64' },
      minutes: { type: 'string', default: '20' },
    },
  })
  await using stack = new AsyncDisposableStack()
  const stateDir = await mkdtemp(join(tmpdir(), 'sluice-fuzz-'))
  stack.defer(() => rm(stateDir, { recursive: true, force: true }))
  const password = 'for-the-fuzzer-only'
  const postgres = await startPostgres({ stateDir, password, ping: pingPostgres, report: console.info })
  stack.defer(() => postgres.stop(10_000))
  const log = createLog('fuzz', 'error')
  const db = stack.use(createDb(postgres.url, { max: 2, statementMs: 60_000, log, name: 'fuzz' }))
  await migrateSchema(db)
  const ports = { INGEST_PORT: '0', METRICS_PORT: '0', SHUTDOWN_DELAY_SECONDS: '0' }
  const ingest = stack.use(runIngest({ ...CREDENTIALS, ...ports, DATABASE_URL: postgres.url }))
  const report = await fuzz({
    url: await addressOf(ingest),
    pid: ingest.pid,
    db,
    seed: Number(values.seed),
    count: Number(values.count),
    from: Number(values.from),
    connections: Number(values.connections),
    lingering: 0.002,
    limitMs: Number(values.minutes) * 60_000,
    progress: (sent, rssMb) => console.info(`${sent} sent, the ingest has ${rssMb} MB`),
  })
  console.info(JSON.stringify(report, undefined, 2))
  if (report.findings.length > 0) process.exitCode = 1
}

if (import.meta.main) await main()
