import type { Redis } from 'ioredis'

/**
 * Takes the body off finished jobs, which stay for an hour only to let redeliveries collapse. A job that a crash leaves
 * with its body does no harm.
 */
export function createLightener(client: Redis) {
  let keys: string[] = []
  let timer: NodeJS.Timeout | undefined
  async function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    const batch = keys
    keys = []
    if (batch.length === 0 || client.status !== 'ready') return
    const pipeline = client.pipeline()
    for (const key of batch) pipeline.hdel(key, 'data', 'opts', 'returnvalue', 'processedBy', 'pb')
    await pipeline.exec().catch(() => {})
  }
  return {
    flush,
    add(key: string) {
      keys.push(key)
      timer ??= setTimeout(() => void flush(), 200)
    },
  }
}
