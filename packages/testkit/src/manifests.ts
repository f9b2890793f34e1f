import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

/** An object of Kubernetes, as YAML has it. */
export type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own, which `typeProblems` checks
  readonly [field: string]: any
}

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** The objects of a rendered chart. Helm renders empty documents as well. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    const [error] = document.errors
    if (error) throw error
    return (document.toJS() as Manifest | null) ?? []
  })
}

/** @throws Error if there is not exactly one */
export function theOne(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.filter((each) => each.kind === kind && each.metadata.name === name)
  if (found.length !== 1) throw new Error(`${found.length} of ${kind} ${name}`)
  return found[0] as Manifest
}

const MODULES: Readonly<Record<string, string>> = {
  'keda.sh/v1alpha1': '@kubernetes-models/keda/keda.sh/v1alpha1',
  'monitoring.coreos.com/v1': '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1',
}
const moduleOf = (apiVersion: string) => MODULES[apiVersion] ?? `kubernetes-models/${apiVersion}`

/** What the schemas of Kubernetes, KEDA and Prometheus' operator refuse. They let unknown fields pass. */
export async function schemaProblems(manifests: readonly Manifest[]): Promise<string[]> {
  const problems = await Promise.all(
    manifests.map(async (manifest) => {
      const name = nameOf(manifest)
      const module = await import(moduleOf(manifest.apiVersion))
      const Model = module[manifest.kind]
      if (!Model) return [`${name}: ${manifest.apiVersion} has no such kind`]
      try {
        new Model(manifest).validate()
        return []
      } catch (error) {
        return [`${name}: ${(error as Error).message}`]
      }
    }),
  )
  return problems.flat()
}

/**
 * What TypeScript says against the objects as literals of the types of Kubernetes: a literal may have no unknown field.
 *
 * @param name of the file that is checked; two tests may not share one
 */
export async function typeProblems(name: string, manifests: readonly Manifest[]): Promise<string[]> {
  const folder = join(ROOT, 'packages/testkit/node_modules/.cache/manifests')
  const file = join(folder, `${name}.ts`)
  const lines = manifests.map(({ apiVersion, kind, ...rest }, index) => {
    const type = `import('${moduleOf(apiVersion)}').I${kind}`
    const literal = JSON.stringify({ apiVersion, kind, ...rest })
    return `export const m${index}: ${type} = ${literal}`
  })
  await mkdir(folder, { recursive: true })
  await writeFile(file, lines.join('\n'))
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--ignoreConfig',
    '--module',
    'nodenext',
    '--types',
    '',
  ]
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, [tsc, ...options, file], { cwd: ROOT }, (_error, stdout) => resolve(stdout))
  })
  return [...output.matchAll(/\((\d+),\d+\): (error .*)/g)].map(([, line, problem]) => {
    const manifest = manifests[Number(line) - 1]
    return `${manifest ? nameOf(manifest) : line}: ${problem}`
  })
}

const nameOf = ({ kind, metadata }: Manifest) => `${kind} ${metadata.name}`
