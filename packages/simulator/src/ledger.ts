import { hash } from 'node:crypto'
import { createReadStream, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { UserError } from '@sluice/shared/runtime'

/**
 * What the sender has done, one JSON object per line, only appended. Each line ends with a checksum of itself and of
 * the checksum before it, so a line that was altered, removed, added or moved is noticed. This guards against
 * accidents: an attacker who can write the file could compute the checksums again.
 *
 * The line of an event is in the file before its first byte leaves. After a crash of the sender the ledger therefore
 * knows every row that can appear. Answers follow within 100 ms. A crash may lose the last of them: then too few events
 * count as acknowledged, never too many.
 */
export type LedgerRecord =
  | { type: 'run'; version: 1; at: number; seed: string; url: string }
  | EventRecord
  | AttemptRecord
  /** The run is over. `complete` is false if it was stopped early. */
  | { type: 'end'; at: number; complete: boolean }

export type EventRecord = {
  type: 'event'
  /** Counts the events of the run. */
  n: number
  /** Times are ms since 1970. */
  at: number
  environment: string
  /** Its place in its journey, from 0, in the order in which things happened. */
  moment: number
  eventId: string | null
  /** Of the exact bytes, hex. */
  sha256: string
  length: number
  /** The bytes: as text if they are UTF-8, else in base64. */
  text?: string
  base64?: string
  /** A test request of the portal: its bytes are the same in every run. */
  test?: true
}

/** How an attempt ended. */
export type Outcome =
  | 'answered'
  /** No whole answer within the time limit. */
  | 'timed_out'
  /** No connection within the time limit, mostly because all were busy: nothing was sent. */
  | 'no_connection'
  /** The connection could not be made: nothing was sent. */
  | 'refused'
  /** The connection ended before an answer. */
  | 'broken'
  /** On purpose, inside the body and after it. */
  | 'cut'
  | 'hung_up'

export type AttemptRecord = {
  type: 'attempt'
  n: number
  eventId: string | null
  sha256: string
  /** 0 for the first attempt and for a duplicate. */
  redelivery: number
  duplicate?: true
  /** When it was started, and when the answer was known. */
  at: number
  end: number
  answer: Outcome
  status?: number
  /** The sender treats the 200 as too late. */
  late?: true
}

const FLUSH_EVERY_MS = 100
const FIRST_SUM = '0'.repeat(32)

/** @throws UserError if the file exists: a ledger belongs to one run and is never overwritten */
export async function createLedger(path: string) {
  const file = await open(path, 'wx').catch((error) => {
    const reason =
      error.code === 'EEXIST' ? 'exists already; name a new file' : `cannot be written (${error.code})`
    throw new UserError(`The ledger ${path} ${reason}.`)
  })
  let sum = FIRST_SUM
  let buffered = ''
  let failure: unknown
  const timer = setInterval(() => {
    try {
      flush()
    } catch (error) {
      failure = error
    }
  }, FLUSH_EVERY_MS)

  function append(record: LedgerRecord): void {
    const content = JSON.stringify(record)
    sum = nextSum(sum, content)
    buffered += `${content.slice(0, -1)},"sum":"${sum}"}\n`
  }

  /** Hands everything to the operating system. It is synchronous because the next send relies on it. */
  function flush(): void {
    if (failure) throw failure
    if (buffered === '') return
    const bytes = Buffer.from(buffered)
    buffered = ''
    for (let written = 0; written < bytes.length; ) written += writeSync(file.fd, bytes, written)
  }

  async function close(): Promise<void> {
    clearInterval(timer)
    try {
      flush()
    } finally {
      await file.close()
    }
  }

  return { append, flush, [Symbol.asyncDispose]: close }
}

export type Ledger = Pick<Awaited<ReturnType<typeof createLedger>>, 'append' | 'flush'>

export type LedgerLine =
  | { readonly kind: 'record'; readonly record: LedgerRecord }
  /** The line, counted from 1, does not fit its checksum or the line before it. */
  | { readonly kind: 'altered'; readonly line: number }

/**
 * Reads a ledger of any length. A last line that a crash has torn counts as altered.
 *
 * @throws UserError if there is no file, or it is no ledger
 */
export async function* readLedger(path: string): AsyncGenerator<LedgerLine> {
  const input = createReadStream(path)
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
  let sum = FIRST_SUM
  let number = 0
  try {
    for await (const line of lines) {
      if (++number === 1 && !line.includes('"type":"run"')) throw new UserError(`${path} is not a ledger.`)
      const match = /^(.*),"sum":"([0-9a-f]{32})"\}$/s.exec(line)
      const content = `${match?.[1]}}`
      const fits = match?.[2] === nextSum(sum, content)
      sum = match?.[2] ?? ''
      if (fits) yield { kind: 'record', record: JSON.parse(content) as LedgerRecord }
      else yield { kind: 'altered', line: number }
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    throw code === undefined ? error : new UserError(`The ledger ${path} cannot be read (${code}).`)
  }
  if (number === 0) throw new UserError(`${path} is empty, not a ledger.`)
}

function nextSum(sum: string, content: string): string {
  return hash('sha256', sum + content).slice(0, 32)
}
