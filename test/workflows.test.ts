import { spawnSync } from 'node:child_process'
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const WORKFLOWS = globSync('.github/workflows/*.yml', { cwd: ROOT })
const validator = join(ROOT, 'node_modules/@action-validator/cli/cli.mjs')
const read = (file: string) => parse(readFileSync(join(ROOT, file), 'utf8'))

describe.each(WORKFLOWS)('%s', (file) => {
  it('has the shape of a workflow', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [validator, file], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    expect({ status, problems: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, problems: '' })
  })

  it('may read alone, unless a job says what it writes, and ends by itself', () => {
    const { permissions, jobs } = read(file)
    expect(permissions).toEqual({ contents: 'read' })
    for (const job of Object.values<{ 'timeout-minutes'?: number }>(jobs)) {
      expect(job['timeout-minutes']).toBeGreaterThan(0)
    }
  })
})

it('what runs the tests installs the programs without which some are skipped', () => {
  const runs = (file: string) =>
    Object.values<{ steps: { run?: string }[] }>(read(file).jobs).map(({ steps }) =>
      steps.map(({ run }) => run),
    )
  const testing = WORKFLOWS.flatMap(runs).filter((steps) => steps.includes('.ci/run'))
  expect(testing).toHaveLength(2)
  for (const steps of testing) {
    const installed = steps.find((run) => run?.includes('apt-get install'))?.split(' ')
    expect(installed).toEqual(expect.arrayContaining(['redis-server', 'pgbouncer', 'haproxy', 'prometheus']))
  }
})

it('a release signs the digest that it has built and scanned, for both architectures', () => {
  const steps: { uses?: string; with?: Record<string, unknown>; run?: string }[] = read(
    '.github/workflows/release.yml',
  ).jobs.image.steps
  const at = (text: string) =>
    steps.findIndex(({ uses = '', run = '' }) => uses.startsWith(text) || run.includes(text))
  const [build, scan, sign] = [
    at('docker/build-push-action'),
    at('aquasecurity/trivy-action'),
    at('cosign sign'),
  ]
  expect(build).toBeGreaterThan(0)
  expect(build < scan && scan < sign).toBe(true)
  expect(steps[build]?.with).toMatchObject({
    platforms: 'linux/amd64,linux/arm64',
    sbom: true,
    provenance: 'mode=max',
  })
  expect(steps[sign]?.run).toContain('"$IMAGE@$DIGEST"')
})

it('a release puts each note once under its own heading, beside those of the releases before', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-release-'))
  const headingsIn = (text: string) => [...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
  try {
    const files = ['{.,apps/*,packages/*}/package.json', 'pnpm-*.yaml', '.changeset/*', 'scripts/*']
    for (const file of globSync([...files, 'CHANGELOG.md', 'deploy/chart/Chart.yaml'], { cwd: ROOT })) {
      cpSync(join(ROOT, file), join(folder, file), { recursive: true })
    }
    writeFileSync(join(folder, '.changeset/one.md'), '---\n"@sluice/shared": minor\n---\n\n- A change.\n')
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
    const before = headingsIn(readFileSync(join(folder, 'CHANGELOG.md'), 'utf8'))
    const made = spawnSync(process.execPath, ['scripts/version.mjs'], { cwd: folder, encoding: 'utf8' })
    expect(made.status, made.stderr).toBe(0)
    const changelog = readFileSync(join(folder, 'CHANGELOG.md'), 'utf8')
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const [unreleased, released, ...others] = headingsIn(changelog)
    expect(unreleased).toBe('[Unreleased]')
    expect(released).toContain(`[${version}] - `)
    expect(others).toEqual(before.slice(1))
    // A version below the heading of another one would look like a part of it.
    expect(changelog).not.toMatch(/^###+ \d/m)
    const lines = changelog.split('\n').filter((line) => line.startsWith('- '))
    expect(lines).toContain('- A change.')
    expect(new Set(lines).size).toBe(lines.length)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
