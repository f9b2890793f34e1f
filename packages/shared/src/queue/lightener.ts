import type { Redis } from 'ioredis'

const LIGHTEN = `
for i = 1, #ARGV do redis.call('HDEL', KEYS[1] .. ARGV[i], 'data', 'opts', 'returnvalue', 'processedBy', 'pb') end`

const EVERY_MS = 200
/** As many as Redis works off without holding up anybody. */
const MAX_AT_ONCE = 1_000

type WithLighten = Redis & { sluiceLighten(...args: string[]): Promise<null> }

/**
 * Takes the body off finished jobs, which stay for an hour only to let redeliveries collapse. A job that a crash leaves
 * with its body does no harm.
 */
export function createLightener(client: Redis, jobPrefix: string) {
  client.defineCommand('sluiceLighten', { numberOfKeys: 1, lua: LIGHTEN })
  let jobIds: string[] = []
  let timer: NodeJS.Timeout | undefined

  async function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const batch = jobIds
    jobIds = []
    if (batch.length === 0 || client.status !== 'ready') return
    await (client as WithLighten).sluiceLighten(jobPrefix, ...batch).catch(() => {})
  }

  return {
    flush,
    add(jobId: string) {
      jobIds.push(jobId)
      if (jobIds.length >= MAX_AT_ONCE) void flush()
      else timer ??= setTimeout(() => void flush(), EVERY_MS)
    },
  }
}
