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
 * @param options.over is called after the recovery was told
 */
export function createVoice(
  deps: DeliverDeps & { log: Pick<Log, 'warn' | 'debug'> },
  options: {
    look(): Spoken | undefined | Promise<Spoken | undefined>
    recovered(last: Spoken, at: Date): string
    over?(last: Spoken): Promise<void>
    graceMs?: number
    everyMs?: number
  },
): AsyncDisposable {
  const { look, recovered, over, graceMs = GRACE_MS, everyMs = 1_000 } = options
  let told: Spoken | undefined
  let goneSince: number | undefined

  async function round(stop: AbortSignal): Promise<void> {
    const now = new Date()
    const found = await look()
    if (found) {
      goneSince = undefined
      if (told) told = found
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
    if (now.getTime() - goneSince < graceMs) return
    const last = told
    told = undefined
    goneSince = undefined
    await deliver(deps, { ...base(last), kind: 'recovered', text: recovered(last, now), at: now }, { stop })
    await over?.(last)
  }
  return every(everyMs, round, {
    onError: (error) => deps.log.debug({ error: describeError(error) }, 'an alert is not told yet'),
  })
}

const base = (spoken: Spoken) => ({ name: spoken.name, severity: spoken.severity, key: messageKey(spoken) })
