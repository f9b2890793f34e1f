import type { Condition } from '../../db/index.ts'
import { describeError, every, type Log } from '../../runtime/index.ts'
import { type DeliverDeps, deliver } from './deliver.ts'
import { messageKey } from './notify.ts'

/** What holds now, and since when. */
export type Spoken = Condition & { readonly since: Date }

/** How this process came to tell it: by the table after all, by itself, or not yet. */
type Way = 'table' | 'self'

/**
 * Tells incidents from memory, while there is no table for them. Sending holds nothing up. When the table is back, it
 * tells that they are over.
 *
 * @param options.look what holds now
 * @param options.write sees to it that the table has the condition, unless it is over; rejects while there is none. It
 *   is asked first, and again after a claim: what is over by then is not told
 * @param options.claim whether this process is to tell it; all of them do without
 * @param options.noted is called after it was told
 * @param options.record writes what was told into the table; it is tried until that is there
 */
export function createVoice(
  deps: DeliverDeps & { log: Pick<Log, 'warn' | 'debug'> },
  options: {
    look(): readonly Spoken[]
    write(spoken: Spoken): Promise<void>
    claim?(): Promise<boolean>
    noted?(spoken: Spoken): Promise<void>
    record(told: Spoken): Promise<void>
    graceMs: number
    everyMs: number
  },
): AsyncDisposable {
  const { look, write, claim, noted, record, graceMs, everyMs } = options
  const told = new Map<string, { spoken: Spoken; way: Way }>()

  async function tell(spoken: Spoken, stop: AbortSignal): Promise<Way | undefined> {
    const isWritten = () =>
      write(spoken).then(
        () => true,
        () => false,
      )
    const key = messageKey(spoken)
    const isOver = () => look().every((each) => messageKey(each) !== key)
    if (await isWritten()) return 'table'
    if (claim) {
      if (isOver() || !(await claim())) return undefined
      if (await isWritten()) return 'table'
    }
    if (isOver()) return undefined
    const message = { name: spoken.name, severity: spoken.severity, key }
    const took = await deliver(
      deps,
      { ...message, kind: 'opened', isAgain: false, text: spoken.text, at: spoken.since },
      { stop },
    )
    if (took.length === 0) return undefined
    await noted?.(spoken)
    return 'self'
  }

  async function round(stop: AbortSignal): Promise<void> {
    const now = Date.now()
    const found = new Map(look().map((spoken) => [messageKey(spoken), spoken]))
    // It must be known when Postgres goes away.
    if (found.size === 0) await deps.installation()
    for (const [key, spoken] of found) {
      const known = told.get(key)
      if (known) known.spoken = spoken
      else if (now - spoken.since.getTime() >= graceMs) {
        const way = await tell(spoken, stop)
        if (way) told.set(key, { spoken, way })
      }
    }
    for (const [key, { spoken, way }] of told) {
      if (found.has(key)) continue
      if (way === 'self') await record(spoken)
      told.delete(key)
    }
  }
  return every(everyMs, round, {
    onError: (error) => deps.log.debug({ error: describeError(error) }, 'an alert is not told yet'),
  })
}
