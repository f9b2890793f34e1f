import { hash } from 'node:crypto'
import { createReadStream, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Environment } from '@sluice/shared/envelope'
import { UserError } from '@sluice/shared/runtime'
import type { Answer } from './send/send.ts'

/**
 * What the sender has done, one JSON object per line, only ever appended. Each line ends with a checksum over itself
 * and the checksum of the line before, so that a line that was altered, removed, added or moved is noticed.
 * (It guards against accidents: whoever can write the file could compute the checksums anew.)
 *
 * An event's line is in the file before the event's first byte leaves, so after a crash of the sender no row can
 * appear that the ledger does not know. Answers follow within 100 ms; a crash may lose the last of them, and then
 * too little is taken for acknowledged, never too much.
 */
export type LedgerRecord =
  | { type: 'run'; version: 1; at: number; seed: string; url: string }
  | EventRecord
  | AttemptRecord
  /** The run is over; `complete` is false where it was stopped early. */
  | { type: 'end'; at: number; complete: boolean }

export type EventRecord = {
  type: 'event'
  /** Counts the events of the run. */
  n: number
  /** Times are ms since 1970. */
  at: number
  environment: Environment
  /** Its place in its journey, from 0, whatever the order of sending. */
  moment: number
  eventId: string | null
  /** Of the exact bytes, hex. */
  sha256: string
  length: number
  /** The bytes as text where they are UTF-8, else in base64. */
  text?: string
  base64?: string
}

export type AttemptRecord = {
  type: 'attempt'
  n: number
  eventId: string | null
  sha256: string
  /** 0 for the first attempt; a duplicate has no number of its own. */
  redelivery: number
  duplicate?: true
  /** When it was started and when the answer was known. */
  at: number
  end: number
  answer: Answer['kind']
  status?: number
  /** The 200 is taken to have come after the sender's time limit. */
  late?: true
}

const FLUSH_EVERY_MS = 100
const FIRST_SUM = '0'.repeat(32)

/** @throws UserError where the file exists: a ledger is one run's and is never written over */
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

  /** Hands everything to the operating system; synchronous, since a send right after it relies on it. */
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
 * Reads a ledger, however long it is. A last line that a crash has torn counts as altered too, being incomplete.
 *
 * @throws UserError where there is no file, or it is no ledger
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
