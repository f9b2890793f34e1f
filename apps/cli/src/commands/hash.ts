import { text } from 'node:stream/consumers'
import { hashSecret } from '@sluice/console'
import { UserError } from '@sluice/shared/runtime'
import { Command } from 'commander'
import { print } from '../output.ts'

const MIN_SECRET = 12

export function hashCommand(): Command {
  return new Command('hash')
    .description('make the hash of a secret for CONSOLE_CREDENTIALS; the secret comes from standard input')
    .addHelpText('after', '\nFor example: openssl rand -base64 24 | tee /dev/tty | npx sluice hash')
    .action(async () => {
      if (process.stdin.isTTY) process.stderr.write('Type the secret, Enter, then Ctrl-D:\n')
      const secret = (await text(process.stdin)).replace(/\r?\n$/, '')
      if (secret.length < MIN_SECRET)
        throw new UserError(`The secret has fewer than ${MIN_SECRET} characters.`)
      print(await hashSecret(secret))
    })
}
