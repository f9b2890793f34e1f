#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstalled, root, runNode } from './bootstrap.mjs'
import { readEnvFile } from './env-file.mjs'

const args = process.argv.slice(2)
const envFile = join(root, '.env')

// Only `start` may show the progress on stdout, because programs read the output of the other commands.
await ensureInstalled(args[0] === 'start' ? 1 : 2)
await runNode([join(root, 'apps/cli/src/main.ts'), ...args], {
  stoppable: args[0] === 'start',
  // The environment has precedence over the file.
  env: { ...settings(), ...process.env },
})

function settings() {
  try {
    return existsSync(envFile) ? readEnvFile(envFile) : {}
  } catch (error) {
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}
