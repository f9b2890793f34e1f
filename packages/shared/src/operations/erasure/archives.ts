import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'

/** One line of an archive: a row of `events`. `raw` is base64. */
export type ArchivedEvent = { readonly environment: string; readonly raw: string }

const SUFFIX = '.jsonl.gz'

/**
 * Leaves events out of the archives of dropped partitions. An archive that has any is written anew beside the old one,
 * with its manifest, and then replaces it. The manifest is replaced first: if this is interrupted in between, the sums
 * do not match, and the next call, which finds the events again, puts both right.
 *
 * @returns how many events were left out
 */
export async function rewriteArchives(
  dir: string,
  isErased: (event: ArchivedEvent) => boolean,
): Promise<number> {
  let erased = 0
  for (const file of await readdir(dir)) {
    if (file.endsWith(SUFFIX))
      erased += await rewriteArchive(join(dir, file.slice(0, -SUFFIX.length)), isErased)
  }
  return erased
}

async function rewriteArchive(path: string, isErased: (event: ArchivedEvent) => boolean): Promise<number> {
  const [archive, manifest] = [path + SUFFIX, `${path}.json`]
  let [kept, erased, bytes] = [0, 0, 0]
  async function* lines(): AsyncGenerator<string> {
    const text = createReadStream(archive).pipe(createGunzip())
    let rest = ''
    for await (const chunk of text.setEncoding('utf8')) {
      const lines = `${rest}${chunk}`.split('\n')
      rest = lines.pop() as string
      for (const line of lines) {
        if (isErased(JSON.parse(line) as ArchivedEvent)) erased++
        else {
          kept++
          yield `${line}\n`
        }
      }
    }
  }
  const sum = createHash('sha256')
  const summing = new Transform({
    transform(chunk, _encoding, done) {
      sum.update(chunk)
      bytes += chunk.length
      done(null, chunk)
    },
  })
  const written = `${archive}.new`
  await pipeline(Readable.from(lines()), createGzip(), summing, createWriteStream(written, { mode: 0o600 }))
  if (erased === 0) {
    await rm(written)
    return 0
  }
  await synced(written)
  const described = JSON.parse(await readFile(manifest, 'utf8'))
  await writeFile(
    `${manifest}.new`,
    JSON.stringify({ ...described, events: kept, bytes, sha256: sum.digest('hex') }),
  )
  await synced(`${manifest}.new`)
  await rename(`${manifest}.new`, manifest)
  await rename(written, archive)
  return erased
}

async function synced(path: string): Promise<void> {
  await using file = await open(path)
  await file.sync()
}
