import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
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
