import { hash } from 'node:crypto'
import { Command } from 'ioredis'
import type { RedisClient } from '../connection.ts'

/** Runs a script that Redis knows by its hash, and sends it along where Redis does not know it yet. */
export type Script<Reply> = (client: RedisClient, args: readonly (string | number)[]) => Promise<Reply>

/**
 * @param numberOfKeys how many of the arguments, the first ones, are keys
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
 * A command keeps neither its arguments nor its reply. ioredis assigns functions to each one, and V8 makes such functions
 * among its old objects at once: until these are collected, everything that a command refers to counts as alive, and is
 * copied again and again while answers wait. So the reply goes to a promise that the command does not know any more.
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
