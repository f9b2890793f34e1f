import { inject } from 'vitest'

let other: string | undefined

/** The Redis of all tests, unless a test file has started another server. */
export const queueServerUrl = () => other ?? inject('redisUrl')

export function useQueueServer(url: string): void {
  other = url
}
