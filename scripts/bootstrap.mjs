// Plain JavaScript without dependencies: this runs before anything is installed, on whatever Node.js the machine has.
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
// Before the first wait: an install may outlast npm.
const whenOrphaned = noteLineage()

/**
 * Installs the workspace when it is not installed for this lockfile and machine, one process at a time.
 * `output` is the file descriptor that shows the progress (1 or 2). Exits with 1 and one clear line when it fails.
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
 * Runs the pinned Node.js with `args` in the caller's directory and takes over its exit code. The IPC channel tells
 * the child when this process is gone, even after kill -9. With `stoppable` a signal that ends it before it listens
 * for signals is an orderly end too.
 */
export async function runNode(args, { stoppable = false, env = process.env } = {}) {
  const child = spawn(NODE, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], env })
  const endWatch = whenOrphaned(() => child.kill('SIGTERM'))
  const { code, interrupted } = await ended(child).catch((error) =>
    fail(`The pinned Node.js (${NODE}) does not run here (${error.code}): it needs Linux with glibc.`),
  )
  endWatch()
  process.exitCode = stoppable && code === interrupted ? 0 : code
}

/** What is run afterwards has been compared with the hashes of two lock files: npm's for pnpm, pnpm's for all the rest. */
async function install(output) {
  const out = output === 1 ? process.stdout : process.stderr
  out.write('Installing dependencies (at the first start, and after an update) …\n')
  rmSync(STAMP, { force: true })
  if (!hasPnpm()) {
    const args = ['ci', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund']
    await step('npm', args, { cwd: PNPM, stdio: ['ignore', 'ignore', output] })
  }
  // --prod=false: NODE_ENV=production would leave the tools out.
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
  // A process group of its own: npm and pnpm do not hand signals on to all that they run.
  const child = spawn(command, args, { ...options, detached: true })
  const { code, interrupted } = await ended(child, -1).catch((error) =>
    fail(`Installing the dependencies failed: npm cannot be run (${error.code}). Install it.`),
  )
  if (interrupted) process.exit(interrupted)
  if (code !== 0) {
    fail(
      `Installing the dependencies failed (exit code ${code}, the reason is above). It needs the npm registry ` +
        `(network, proxy), and room and write permission in ${root}. Then try again.`,
    )
  }
}

/** Whether the pnpm that is there is the one of the lock file, as npm has noted when it installed it. */
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

/** Gives Node.js one place, whatever package has it on this machine. */
function linkNode() {
  const binary = `node-${process.platform}-${process.arch}/bin/node`
  // pnpm goes on without it where it does not fit the machine, and also where it is not what the lock file names.
  if (!existsSync(join(root, 'node_modules', binary))) {
    fail(
      `Node.js has not been installed. There is one for Linux on x64 and on arm64; this is ${process.platform} on ` +
        `${process.arch}. Where that fits, the registry did not give what pnpm-lock.yaml names (the reason is above).`,
    )
  }
  rmSync(join(root, 'node_modules/node'), { recursive: true, force: true })
  mkdirSync(dirname(NODE), { recursive: true })
  symlinkSync(join('../..', binary), NODE)
}

function isInstalled() {
  return existsSync(NODE) && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === fingerprint()
}

/** What an install depends on: the locked versions, the allowed install scripts, the machine. */
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
 * Hands signals on to the child and waits for its end: the exit code to take over (128 + n after signal n), and that
 * of the last signal handed on, if any. Rejects when the child cannot be started. With `sign` -1 its whole process
 * group gets the signals.
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
