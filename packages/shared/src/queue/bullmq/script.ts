import { hash } from 'node:crypto'
import { Command } from 'ioredis'
import type { RedisClient } from '../connection.ts'

/** Runs a script by its hash, and sends its text if Redis does not know it yet. */
export type Script<Reply> = (client: RedisClient, args: readonly (string | number)[]) => Promise<Reply>

/**
 * @param numberOfKeys how many of the first arguments are keys
 */
export function createScript<Reply>(lua: string, numberOfKeys: number): Script<Reply> {
  const sha1 = hash('sha1', lua)
  return (client, args) =>
    run<Reply>(client, 'evalsha', [sha1, numberOfKeys, ...args]).catch((error: Error) => {
      if (!error.message.startsWith('NOSCRIPT')) throw error
      return run<Reply>(client, 'eval', [lua, numberOfKeys, ...args])
    })
}

/**
 * Sends a command that keeps neither its arguments nor its reply. ioredis assigns functions to each command, and V8
 * allocates such functions among its old objects: until the next full collection everything that they refer to counts
 * as alive, and is copied again and again while replies are outstanding. So the command gives its reply to a promise
 * that it does not refer to afterwards.
 */
async function run<Reply>(client: RedisClient, name: string, args: (string | number)[]): Promise<Reply> {
  const command = new Command(name, args, { replyEncoding: 'utf8' })
  const { promise, resolve, reject } = Promise.withResolvers<Reply>()
  const { resolve: settle } = command
  function answered(reply: Buffer): void {
    command.resolve = settle
    settle(null)
    resolve(command.transformReply(reply) as Reply)
  }
  command.resolve = answered
  void (client.sendCommand(command) as Promise<null>).catch(reject)
  try {
    return await promise
  } finally {
    command.args = []
  }
}
