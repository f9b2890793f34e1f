// npm run release: takes the notes in .changeset, and makes the next version of them: in every package.json, in the
// chart, and in CHANGELOG.md. Commit what it writes, and push the tag that it prints.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './bootstrap.mjs'

const read = (file) => readFileSync(join(root, file), 'utf8')
const write = (file, text) => writeFileSync(join(root, file), text)

const notes = readdirSync(join(root, '.changeset'))
  .filter((file) => file.endsWith('.md') && file !== 'README.md')
  .map((file) =>
    read(`.changeset/${file}`)
      .replace(/^---[\s\S]*?^---\s*/m, '')
      .trim(),
  )
if (notes.length === 0) {
  process.stderr.write('There is nothing to release: .changeset has no note. `npx changeset` writes one.\n')
  process.exit(1)
}
const cli = join(root, 'node_modules/@changesets/cli/bin.js')
const { status } = spawnSync(process.execPath, [cli, 'version'], { cwd: root, stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)

const { version } = JSON.parse(read('packages/shared/package.json'))
write('package.json', read('package.json').replace(/("version": )"[^"]*"/, `$1"${version}"`))
write(
  'deploy/chart/Chart.yaml',
  read('deploy/chart/Chart.yaml').replace(/^((app)?[vV]ersion): .*$/gm, `$1: ${version}`),
)
const { homepage } = JSON.parse(read('package.json'))
const page = `${homepage.replace(/#.*/, '')}/releases/tag/v${version}`
const day = new Date().toISOString().slice(0, 10)
write(
  'CHANGELOG.md',
  read('CHANGELOG.md')
    .replace(/^## \[Unreleased\]\n/m, `$&\n## [${version}] - ${day}\n\n${notes.join('\n')}\n`)
    .replace(/^\[Unreleased\]: .*$/m, `$&\n[${version}]: ${page}`),
)
process.stdout.write(`Now: npm run chart, npm test, commit, git tag v${version}, git push --follow-tags\n`)
