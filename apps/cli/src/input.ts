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
