import { armFailpoint, describeError, UserError } from '@sluice/shared/runtime'
import { createProgram } from './program.ts'

armFailpoint(process.env.SLUICE_FAILPOINT)

// Whoever reads us may stop reading (`| head`): that is no error, and ends no server.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

try {
  await createProgram().parseAsync()
} catch (error) {
  const { code, message } = describeError(error)
  process.stderr.write(
    `${error instanceof UserError ? error.message : `Failed: ${message} ${code ? `(${code})` : ''}`}\n`,
  )
  process.exitCode = 1
} finally {
  // The channel to the bootstrap, which would keep this process alive.
  if (process.connected) process.disconnect()
}
