import { inject } from 'vitest'

let other: string | undefined

/** The Redis of all tests, or what the file with these tests has started instead. */
export const queueServerUrl = () => other ?? inject('redisUrl')

export function useQueueServer(url: string): void {
  other = url
}
