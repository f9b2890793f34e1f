// node scripts/run.mjs TOOL ARGS…: runs a development tool, or a .ts or .mjs file, with the pinned Node.js.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureInstalled, root, runNode } from './bootstrap.mjs'

const PACKAGES = { vitest: 'vitest', biome: '@biomejs/biome', tsc: 'typescript', knip: 'knip' }

const [tool = '', ...args] = process.argv.slice(2)
if (!/\.(ts|mjs)$/.test(tool) && !Object.hasOwn(PACKAGES, tool)) {
  console.error(`Usage: node scripts/run.mjs ${Object.keys(PACKAGES).join('|')}|FILE.ts|FILE.mjs ARGS…`)
  process.exit(2)
}
await ensureInstalled()
await runNode([entryOf(tool), ...args])

/** The JavaScript file of a tool. The files in node_modules/.bin are shell scripts, which would use another Node.js. */
function entryOf(tool) {
  if (!Object.hasOwn(PACKAGES, tool)) return tool
  const folder = join(root, 'node_modules', PACKAGES[tool])
  return join(folder, JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).bin[tool])
}
