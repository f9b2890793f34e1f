import { armFailpoint, describeError, UserError } from '@sluice/shared/runtime'
import { complain, outputFailed } from './output.ts'
import { createProgram } from './program.ts'

armFailpoint(process.env.SLUICE_FAILPOINT)

// A server goes on when nobody reads what it prints, or the disk that it prints to is full.
const serves = process.argv[2] === 'start'
process.stdout.on('error', (error) => serves || outputFailed(error))
process.stderr.on('error', () => {})

try {
  await createProgram().parseAsync()
} catch (error) {
  if (error instanceof UserError) for (const line of error.message.split('\n')) complain(line)
  else complain(`Failed: ${inWords(error)}`)
  process.exitCode = 1
} finally {
  // The channel to the bootstrap, which would keep this process alive.
  if (process.connected) process.disconnect()
}

function inWords(error: unknown): string {
  const { code, message } = describeError(error)
  return code ? `${message} (${code})` : message
}
