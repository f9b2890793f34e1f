// Plain JavaScript without dependencies: it runs before anything is installed, on the Node.js that the machine has.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { constants as os } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { takeLock } from './install-lock.mjs'
import { noteLineage } from './lineage.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const NODE = join(root, 'node_modules/node/bin/node')
const PNPM = join(root, 'scripts/pnpm')
const STAMP = join(root, 'node_modules/.sluice-installed')
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']
// Noted before the first wait, because an install may last longer than npm.
const whenOrphaned = noteLineage()

/**
 * Installs the workspace if it is not installed for this lock file and this machine. One process at a time does so.
 * `output` is the file descriptor that shows the progress (1 or 2). If it fails, it prints one line and exits with 1.
 */
export async function ensureInstalled(output = 2) {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    fail(`Sluice needs Node.js 20 or newer to start; this is ${process.version}.`)
  }
  if (isInstalled()) return
  const release = await lock()
  try {
    if (!isInstalled()) await install(output)
  } finally {
    release()
  }
}

/**
 * Runs the pinned Node.js with `args` in the caller's directory and exits with its code. The IPC channel closes when
 * this process ends, even after kill -9, so the child notices. With `stoppable`, a signal that ends the child before
 * it listens for signals counts as an orderly end.
 */
export async function runNode(args, { stoppable = false, env = process.env } = {}) {
  const child = spawn(NODE, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // Types are stripped and code is compiled once, also for the processes that it starts.
    env: { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/node'), ...env },
  })
  const endWatch = whenOrphaned(() => child.kill('SIGTERM'))
  const { code, interrupted } = await ended(child).catch((error) =>
    fail(`The pinned Node.js (${NODE}) does not run here (${error.code}): it needs Linux with glibc.`),
  )
  endWatch()
  process.exitCode = stoppable && code === interrupted ? 0 : code
}

/** Everything is compared with the hashes of two lock files: pnpm with npm's, and all the rest with pnpm's. */
async function install(output) {
  const out = output === 1 ? process.stdout : process.stderr
  out.write('Installing dependencies (at the first start, and after an update) …\n')
  rmSync(STAMP, { force: true })
  if (!hasPnpm()) {
    const args = ['ci', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
    await step('npm', args, { cwd: PNPM, stdio: ['ignore', 'ignore', output] })
  }
  // Without --prod=false, NODE_ENV=production would leave out the tools.
  const args = ['install', '--frozen-lockfile', '--prefer-offline', '--prod=false']
  await step(
    process.execPath,
    [join(PNPM, 'node_modules/pnpm/bin/pnpm.cjs'), ...args, '--config.confirmModulesPurge=false'],
    {
      cwd: root,
      stdio: ['ignore', output, output],
    },
  )
  linkNode()
  writeFileSync(STAMP, fingerprint())
}

async function step(command, args, options) {
  // A new process group, because npm and pnpm do not pass signals on to everything that they run.
  const child = spawn(command, args, { ...options, detached: true })
  const { code, interrupted } = await ended(child, -1).catch((error) =>
    fail(`Installing the dependencies failed: npm cannot be run (${error.code}). Install it.`),
  )
  if (interrupted) process.exit(interrupted)
  if (code !== 0) {
    fail(
      `Installing the dependencies failed (exit code ${code}, the reason is above). It needs the npm registry ` +
        `(network, proxy), and free space and write permission in ${root}. Then try again.`,
    )
  }
}

/** Whether the installed pnpm is the one of the lock file. npm notes the hash of what it installs. */
function hasPnpm() {
  try {
    const [wanted, found] = ['package-lock.json', 'node_modules/.package-lock.json'].map(
      (file) => JSON.parse(readFileSync(join(PNPM, file), 'utf8')).packages['node_modules/pnpm'].integrity,
    )
    return wanted === found
  } catch {
    return false
  }
}

/** Links the Node.js of this machine, which is one of several packages, to one path. */
function linkNode() {
  const binary = `node-${process.platform}-${process.arch}/bin/node`
  // pnpm skips the package if it does not fit the machine, and also if it is not what the lock file names.
  if (!existsSync(join(root, 'node_modules', binary))) {
    fail(
      `Node.js has not been installed. There is one for Linux on x64 and on arm64; this is ${process.platform} on ` +
        `${process.arch}. If that fits, the registry did not return what pnpm-lock.yaml names (the reason is above).`,
    )
  }
  rmSync(join(root, 'node_modules/node'), { recursive: true, force: true })
  mkdirSync(dirname(NODE), { recursive: true })
  symlinkSync(join('../..', binary), NODE)
}

function isInstalled() {
  return existsSync(NODE) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === fingerprint()
}

/** Identifies what an install depends on: the locked versions, the allowed install scripts, the machine. */
function fingerprint() {
  const hash = createHash('sha256')
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml']) hash.update(readFileSync(join(root, file)))
  return `${process.platform}-${process.arch}-${hash.digest('hex')}`
}

async function lock() {
  try {
    accessSync(root, constants.W_OK)
    return await takeLock(join(root, '.sluice/install.lock'), () =>
      process.stderr.write('Waiting for another process that installs the dependencies …\n'),
    )
  } catch (error) {
    fail(
      `Cannot install the dependencies: no write permission in ${root} (${error.code}). Run it as its owner.`,
    )
  }
}

/**
 * Passes signals on to the child and waits for its end. `code` is the child's exit code (128 + n after signal n), and
 * `interrupted` that of the last signal passed on, if any. Rejects if the child cannot be started. With `sign` -1,
 * its whole process group gets the signals.
 */
function ended(child, sign = 1) {
  let interrupted
  const forward = (signal) => {
    interrupted = 128 + os.signals[signal]
    if (child.exitCode === null && child.signalCode === null) process.kill(sign * child.pid, signal)
  }
  for (const signal of SIGNALS) process.on(signal, forward)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve({ code: code ?? 128 + os.signals[signal], interrupted }))
  }).finally(() => {
    for (const signal of SIGNALS) process.off(signal, forward)
  })
}

function fail(text) {
  process.stderr.write(`${text}\n`)
  process.exit(1)
}
