#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstalled, root, runNode } from './bootstrap.mjs'

const args = process.argv.slice(2)
const envFile = join(root, '.env')

// Only `start` may talk on stdout before it runs: the output of the other commands is read by programs.
await ensureInstalled(args[0] === 'start' ? 1 : 2)
// What the environment already has wins over the file. (--env-file-if-exists would remark on a missing file each time.)
const options = existsSync(envFile) ? [`--env-file=${envFile}`] : []
await runNode([...options, join(root, 'apps/cli/src/main.ts'), ...args], args[0] === 'start')
