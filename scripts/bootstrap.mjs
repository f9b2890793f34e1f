// Plain JavaScript without dependencies: this runs before anything is installed, on whatever Node.js the machine has.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants as os } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { takeLock } from './install-lock.mjs'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const NODE = join(root, 'node_modules/node/bin/node')
const STAMP = join(root, 'node_modules/.sluice-installed')
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

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
export async function runNode(args, stoppable = false) {
  const child = spawn(NODE, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  const watch = process.env.npm_lifecycle_event ? stopWithParent(child) : undefined
  const { code, interrupted } = await ended(child).catch((error) =>
    fail(
      `The pinned Node.js (${NODE}) does not run here (${error.code}): it needs macOS, or Linux with glibc.`,
    ),
  )
  clearInterval(watch)
  process.exitCode = stoppable && code === interrupted ? 0 : code
}

/** Under npm the person or supervisor signals npm, which may die without telling anybody. */
function stopWithParent(child) {
  const parent = process.ppid
  return setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), 500)
}

async function install(output) {
  const pnpm = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager
  const out = output === 1 ? process.stdout : process.stderr
  out.write('Installing dependencies (at the first start, and after an update) …\n')
  rmSync(STAMP, { force: true })
  // --prod=false: Node.js itself is a development dependency, and NODE_ENV=production would leave it out.
  const args = ['--yes', pnpm, 'install', '--frozen-lockfile', '--prefer-offline', '--prod=false']
  const child = spawn('npx', [...args, '--config.confirmModulesPurge=false'], {
    cwd: root,
    stdio: ['ignore', output, output],
    detached: true, // a process group of its own: npx does not hand signals on to pnpm
  })
  const { code, interrupted } = await ended(child, -1).catch((error) =>
    fail(
      `Installing the dependencies failed: npx, a part of npm, cannot be run (${error.code}). Install npm.`,
    ),
  )
  if (interrupted) process.exit(interrupted)
  if (code !== 0) {
    fail(
      `Installing the dependencies failed (exit code ${code}, the reason is above). It needs the npm registry ` +
        `(network, proxy), and room and write permission in ${root}. Then try again.`,
    )
  }
  if (!existsSync(NODE)) {
    fail(
      'Install scripts are switched off, so Node.js is missing: unset npm_config_ignore_scripts and try again.',
    )
  }
  writeFileSync(STAMP, fingerprint())
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
