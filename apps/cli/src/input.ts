import { createInterface } from 'node:readline'
import { UserError } from '@sluice/shared/runtime'

/** Reads standard input as text. @throws UserError if it has more characters than `most` */
export async function readInput(most: number): Promise<string> {
  process.stdin.setEncoding('utf8')
  let text = ''
  for await (const chunk of process.stdin) {
    text += chunk
    if (text.length > most) {
      throw new UserError(`The input has more than ${most.toLocaleString('en')} characters.`)
    }
  }
  return text
}

/** Asks a person at a terminal. Anything but `y` or `yes` is a no, and so is the end of the input. */
export async function confirm(question: string): Promise<boolean> {
  process.stdout.write(question)
  const lines = createInterface({ input: process.stdin })
  const { value } = await lines[Symbol.asyncIterator]().next()
  lines.close()
  return /^y(es)?$/i.test(String(value ?? '').trim())
}
