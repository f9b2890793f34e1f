import { describeError, type Log, type Metrics, pause } from '../../runtime/index.ts'
import type { Channel } from './channels.ts'
import type { KnowInstallation } from './installation.ts'
import type { Letter, Message } from './message.ts'

const TRY_MS = 5_000
const TRIES = 5

export type DeliverDeps = {
  readonly channels: readonly Channel[]
  readonly installation: KnowInstallation
  readonly metrics: Pick<Metrics, 'alertsSent'> | undefined
  readonly log: Pick<Log, 'warn'>
}

/**
 * Gives a message to all channels at once, each of which has five tries of five seconds. All of it takes 40 s at most.
 *
 * @returns the kinds of the channels that took it
 */
export async function deliver(
  { channels, installation, metrics, log }: DeliverDeps,
  message: Message,
  { stop, tries = TRIES }: { stop: AbortSignal; tries?: number },
): Promise<Channel['kind'][]> {
  const letter = { ...message, from: await installation() }
  const took = await Promise.all(
    channels.map(async (channel): Promise<Channel['kind'][]> => {
      const problem = await sendTo(channel, letter, { stop, tries })
      metrics?.alertsSent.inc({ channel: channel.kind, outcome: problem ? 'failed' : 'sent' })
      if (!problem) return [channel.kind]
      log.warn(
        { channel: channel.kind, alert: message.name, error: problem },
        'a channel did not take an alert',
      )
      return []
    }),
  )
  return took.flat()
}

/** @returns what was wrong with the last try, without any address */
async function sendTo(
  channel: Channel,
  message: Letter,
  { stop, tries }: { stop: AbortSignal; tries: number },
): Promise<string | undefined> {
  let problem = 'not tried'
  for (let tried = 0; tried < tries && !stop.aborted; tried++) {
    if (tried > 0) await pause(1_000 * 2 ** (tried - 1), stop)
    const limit = AbortSignal.any([stop, AbortSignal.timeout(TRY_MS)])
    try {
      await Promise.race([channel.send(message, limit), aborted(limit)])
      return undefined
    } catch (error) {
      problem = limit.aborted ? 'no answer in 5 s' : briefly(error)
    }
  }
  return problem
}

/** Rejects when the signal is aborted, also if the channel does not heed it. */
const aborted = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('no answer')), { once: true })
  })

/** Another library's message may quote an address, and so a secret: only names, codes and our own texts stay. */
function briefly(error: unknown): string {
  const { name, code, message } = describeError(error)
  return /^answered \d{3}$/.test(message) ? message : (code ?? name)
}
