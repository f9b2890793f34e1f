import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import * as z from 'zod'
import { parseJson } from '../envelope.ts'
import { failpoint, UserError } from '../runtime/index.ts'

/** What an archive holds: how many events, and the first and last time at which one landed. */
const manifestSchema = z.object({
  partition: z.string(),
  events: z.number(),
  firstProcessedAt: z.string().nullable(),
  lastProcessedAt: z.string().nullable(),
  /** Of the file. */
  bytes: z.number(),
  sha256: z.string(),
  /** The version of Sluice that wrote the file. */
  release: z.string(),
})
export type Manifest = z.output<typeof manifestSchema>

/** An event of an archive: the columns of `events`, bytes as hex, and `raw` as base64. */
type ArchivedEvent = Readonly<Record<string, unknown>>

const NEVER = new AbortController().signal
const ENDING = '.jsonl.gz'
const UNFINISHED = '.tmp'
const UNFINISHED_MANIFEST = '.json.tmp'
const fileOf = (dir: string, partition: string) => join(dir, `${partition}${ENDING}`)
const manifestOf = (dir: string, partition: string) => join(dir, `${partition}.json`)
/** Each line begins so: readers find the key and the time without parsing it. */
const HEAD = /^\{"event_key":"([0-9a-f]{64})","processed_at":"([^"]+)"/

/** The partitions of which a folder has an archive. */
export async function listArchives(dir: string): Promise<string[]> {
  const names = await namesIn(dir)
  return names.flatMap((name) => (name.endsWith(ENDING) ? [name.slice(0, -ENDING.length)] : [])).sort()
}

/** The names of the files in a folder, which may be missing. */
async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
}

/** The lines of an archive. */
export async function* readArchive(dir: string, partition: string): AsyncGenerator<string> {
  const source = createReadStream(fileOf(dir, partition))
  const unzipped = createGunzip()
  const piping = pipeline(source, unzipped)
  // The reader below sees the failure, too.
  piping.catch(() => {})
  // Not by `readline`, for which U+2028 ends a line as well.
  let rest = ''
  for await (const text of unzipped.setEncoding('utf8')) {
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() as string
    yield* lines
  }
  await piping
  if (rest !== '') throw new Error('the last line of an archive is cut off')
}

/**
 * Writes an archive and its manifest. Each file gets its name when it is complete and on the disk, so that a crash
 * leaves no half of one.
 *
 * @param lines each begins with key and time, as `readLines` gives them
 */
export async function writeArchive(
  dir: string,
  partition: string,
  lines: AsyncIterable<string>,
  release: string,
): Promise<Manifest> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  await removeUnfinished(dir, partition)
  const seen = createSummary()
  const hash = createHash('sha256')
  let bytes = 0
  const name = `.${partition}.${randomUUID()}`
  const file = join(dir, `${name}${UNFINISHED}`)
  await pipeline(
    async function* () {
      for await (const line of lines) {
        seen.add(line)
        yield `${line}\n`
      }
    },
    createGzip(),
    new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk)
        bytes += chunk.length
        done(null, chunk)
      },
    }),
    createWriteStream(file, { mode: 0o600, flush: true }),
  )
  const { events, first, last } = seen
  const manifest: Manifest = {
    partition,
    events,
    firstProcessedAt: first,
    lastProcessedAt: last,
    bytes,
    sha256: hash.digest('hex'),
    release,
  }
  // Both are on the disk before one gets its name: `removeUnfinished` completes what a crash leaves between the two.
  const newManifest = join(dir, `${name}${UNFINISHED_MANIFEST}`)
  await writeFile(newManifest, `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600, flush: true })
  await rename(file, fileOf(dir, partition))
  failpoint('archive-without-manifest')
  await rename(newManifest, manifestOf(dir, partition))
  const folder = await open(dir)
  await folder.sync().finally(() => folder.close())
  return manifest
}

/**
 * Removes what a crash has left of archives that were being written; a process that writes one now fails. If only the
 * name of a manifest is missing, it gets it.
 */
export async function removeUnfinished(dir: string, partition?: string): Promise<void> {
  const names = await namesIn(dir)
  const left = names.filter(
    (name) => name.endsWith(UNFINISHED) && (partition === undefined || name.startsWith(`.${partition}.`)),
  )
  for (const name of left.filter((each) => each.endsWith(UNFINISHED_MANIFEST))) {
    const manifest = await readManifest(join(dir, name))
    if (!manifest || !names.includes(`${manifest.partition}${ENDING}`)) continue
    if ((await sha256Of(fileOf(dir, manifest.partition), NEVER)) !== manifest.sha256) continue
    await rename(join(dir, name), manifestOf(dir, manifest.partition))
  }
  await Promise.all(left.map((name) => rm(join(dir, name), { force: true })))
}

async function readManifest(path: string): Promise<Manifest | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return manifestSchema.safeParse(parseJson(text)).data
}

/** Another text after each change of the file; undefined if it is gone. */
export async function stampOf(dir: string, partition: string): Promise<string | undefined> {
  const found = await stat(fileOf(dir, partition)).catch(() => undefined)
  return found && [found.ino, found.size, found.mtimeMs].join(' ')
}

/** Removes an archive that is no good. */
export async function removeArchive(dir: string, partition: string): Promise<void> {
  await rm(manifestOf(dir, partition), { force: true })
  await rm(fileOf(dir, partition), { force: true })
}

/**
 * Reads an archive back and compares it with its manifest.
 *
 * @returns undefined if one of them is missing or they differ; else the manifest, and all keys in one number
 */
export async function verifyArchive(
  dir: string,
  partition: string,
  stop: AbortSignal = NEVER,
): Promise<{ manifest: Manifest; keys: bigint } | undefined> {
  try {
    const manifest = await readManifest(manifestOf(dir, partition))
    if (!manifest || (await sha256Of(fileOf(dir, partition), stop)) !== manifest.sha256) return undefined
    const seen = createSummary()
    for await (const line of readArchive(dir, partition)) {
      stop.throwIfAborted()
      seen.add(line)
    }
    return seen.events === manifest.events ? { manifest, keys: seen.keys } : undefined
  } catch {
    stop.throwIfAborted()
    return undefined
  }
}

async function sha256Of(file: string, stop: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file, { signal: stop })) hash.update(chunk)
  return hash.digest('hex')
}

/** Counts lines and combines their keys, like `contentOf` for a table. */
function createSummary() {
  const summary = {
    events: 0,
    keys: 0n,
    first: null as string | null,
    last: null as string | null,
    add(line: string): void {
      const [, key = '', at = ''] = HEAD.exec(line) ?? []
      if (key === '') throw new Error('a line of an archive does not begin with key and time')
      summary.events++
      summary.keys ^= BigInt.asIntN(64, BigInt(`0x${key.slice(0, 16)}`))
      if (summary.first === null || at < summary.first) summary.first = at
      if (summary.last === null || at > summary.last) summary.last = at
    },
  }
  return summary
}

function damaged(dir: string, partition: string): UserError {
  return new UserError(
    `The archive ${fileOf(dir, partition)} is not what its manifest says: it was changed, is damaged, or is just ` +
      'being written. Run the same command again; if it says the same, restore both files, or remove them.',
  )
}

/**
 * Removes events from an archive. The others keep their bytes.
 *
 * @param keeps says of each event whether it stays
 * @returns how many were removed; without any, the files are left alone
 * @throws UserError if the archive is not what its manifest says
 */
export async function rewriteArchive(
  dir: string,
  partition: string,
  keeps: (event: ArchivedEvent) => boolean,
): Promise<number> {
  const known = await verifyArchive(dir, partition)
  if (!known) throw damaged(dir, partition)
  let removed = 0
  for await (const line of readArchive(dir, partition)) if (!keeps(JSON.parse(line))) removed++
  if (removed === 0) return 0
  async function* kept() {
    for await (const line of readArchive(dir, partition)) if (keeps(JSON.parse(line))) yield line
  }
  await writeArchive(dir, partition, kept(), known.manifest.release)
  return removed
}
