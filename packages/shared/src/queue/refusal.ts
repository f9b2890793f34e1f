import { describeError } from '../runtime/errors.ts'
import { type Cause, networkCause } from '../runtime/unreachable.ts'

/**
 * Why Redis cannot be used.
 *
 * @param error the last error of the client; undefined if the connection was closed without an answer
 */
export function redisCause(error: unknown): Cause {
  if (error === undefined) {
    const advice =
      'Start it, or correct REDIS_URL: rediss:// if it speaks TLS, another port if it is no Redis.'
    return { text: 'the connection is closed without an answer', advice }
  }
  return networkCause(error, 'REDIS_URL') ?? causeFromRedis(describeError(error).message)
}

function causeFromRedis(message: string): Cause {
  if (/sentinel/i.test(message)) {
    const advice = 'Start the Sentinels, or correct their addresses and the name of the master in REDIS_URL.'
    return { text: `no Sentinel names the master (${message})`, advice }
  }
  if (/^WRONGPASS|invalid password/i.test(message))
    return { text: 'the user or password is wrong (WRONGPASS)', advice: 'Correct them in REDIS_URL.' }
  if (/^NOAUTH|without any password configured/.test(message))
    return { text: 'it asks for a password (NOAUTH)', advice: 'Give user and password in REDIS_URL.' }
  if (message.startsWith('NOPERM'))
    return { text: message, advice: 'Give the Redis user the right to it (docs/operations.md).' }
  if (/DB index is out of range|SELECT is not allowed/.test(message))
    return { text: `it has no such database (${message})`, advice: 'Correct the number in REDIS_URL.' }
  if (/Unknown RESP type|Protocol error/.test(message))
    return { text: 'the server on this port is no Redis', advice: 'Correct the port in REDIS_URL.' }
  if (/cluster support disabled/.test(message))
    return {
      text: 'it is no Redis Cluster',
      advice: 'Write REDIS_URL with redis:// instead of redis+cluster://.',
    }
  if (message.startsWith('LOADING'))
    return { text: 'it loads its data (LOADING)', advice: 'Wait until it has: events take the inbox.' }
  if (/Connection is closed/.test(message)) return redisCause(undefined)
  if (/timed out/i.test(message))
    return { text: 'no answer in time', advice: 'Start it, or correct REDIS_URL.' }
  return { text: message, advice: 'Start it, or correct REDIS_URL.' }
}
