import type { Condition } from '../../db/index.ts'
import { describeError, every, type Log } from '../../runtime/index.ts'
import { type DeliverDeps, deliver } from './deliver.ts'
import { GRACE_MS, messageKey } from './notify.ts'

/** What holds now, and since when. */
export type Spoken = Condition & { readonly since: Date }

/**
 * Tells one incident from memory, while there is no table for it. Each process tells it by itself, with the same key,
 * so that a receiver can merge the messages. Sending holds nothing up.
 *
 * @param options.look what holds now; undefined if nothing does
 * @param options.recovered the text of the recovery
 * @param options.record writes the incident into the table; it is tried until that is there, or all is told
 * @param options.over is called after the recovery was told
 */
export function createVoice(
  deps: DeliverDeps & { log: Pick<Log, 'warn' | 'debug'> },
  options: {
    look(): Spoken | undefined | Promise<Spoken | undefined>
    recovered(last: Spoken, at: Date): string
    record(last: Spoken): Promise<void>
    over?(): void
    graceMs?: number
    everyMs?: number
  },
): AsyncDisposable {
  const { look, recovered, record, over, graceMs = GRACE_MS, everyMs = 1_000 } = options
  let told: Spoken | undefined
  let goneSince: number | undefined
  let isRecorded = false

  async function round(stop: AbortSignal): Promise<void> {
    const now = new Date()
    const found = await look()
    if (found) {
      goneSince = undefined
      isRecorded = false
      const isGraver = told?.severity === 'notice' && found.severity === 'page'
      if (told && !isGraver) told = found
      else if (now.getTime() - found.since.getTime() >= graceMs) {
        const took = await deliver(
          deps,
          { ...base(found), kind: 'opened', text: found.text, at: found.since },
          { stop },
        )
        if (took.length > 0) told = found
      }
      return
    }
    if (!told) return
    goneSince ??= now.getTime()
    const last = told
    if (!isRecorded) {
      isRecorded = await record(last).then(
        () => true,
        () => false,
      )
    }
    if (now.getTime() - goneSince < graceMs) return
    told = undefined
    goneSince = undefined
    isRecorded = false
    await deliver(deps, { ...base(last), kind: 'recovered', text: recovered(last, now), at: now }, { stop })
    over?.()
  }
  return every(everyMs, round, {
    onError: (error) => deps.log.debug({ error: describeError(error) }, 'an alert is not told yet'),
  })
}

const base = (spoken: Spoken) => ({ name: spoken.name, severity: spoken.severity, key: messageKey(spoken) })
