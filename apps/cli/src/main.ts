import { armFailpoint, describeError, UserError } from '@sluice/shared/runtime'
import { complain, outputFailed } from './output.ts'
import { createProgram } from './program.ts'

armFailpoint(process.env.SLUICE_FAILPOINT)

// A server goes on if nobody reads its output, or if the disk of its output is full.
const serves = process.argv[2] === 'start'
process.stdout.on('error', (error) => serves || outputFailed(error))
process.stderr.on('error', () => {})

try {
  await createProgram().parseAsync()
} catch (error) {
  if (error instanceof UserError) for (const line of error.message.split('\n')) complain(line)
  else complain(`Failed: ${messageOf(error)}`)
  process.exitCode = 1
} finally {
  // The channel to the bootstrap would keep this process alive.
  if (process.connected) process.disconnect()
}

function messageOf(error: unknown): string {
  const { code, message } = describeError(error)
  return code ? `${message} (${code})` : message
}
