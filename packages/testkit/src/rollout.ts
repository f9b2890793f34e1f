import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { freePort } from '@sluice/embedded'
import { RENDERED_FILE, ROOT } from './chart.ts'
import { eventually } from './eventually.ts'
import type { Fleet, Role } from './fleet.ts'
import { startHaProxy } from './haproxy.ts'
import { parseManifests, theOne } from './manifests.ts'
import { type Running, run } from './process.ts'

/** The ingests and workers of the chart behind HAProxy: what Kubernetes does with them, done by this process. */
export type Rollout = Fleet & {
  /** HAProxy's. */
  readonly port: number
  /** Replaces every process as the chart says. Resolves when the new ones are ready; old ingests may still serve. */
  restart(): Promise<void>
  /** Resolves when every replaced process has ended. @returns how many have */
  settled(): Promise<number>
}

const PORT: Readonly<Record<Role, string>> = { ingest: 'INGEST_PORT', worker: 'WORKER_PORT' }
/** Two that serve, one more, and those that are told to stop while the next restart begins. */
const INGEST_PORTS = 9

type Pod = { readonly role: Role; readonly port: number; readonly running: Running }

/** @param env settings of every process; those of the chart win, but for hosts and files */
export async function startRollout(
  haproxy: string,
  env: Record<string, string>,
  replicas: Readonly<Record<Role, number>>,
): Promise<Rollout> {
  await using stack = new AsyncDisposableStack()
  const specs = { ingest: specOf('ingest'), worker: specOf('worker') }
  const ports = await Promise.all(Array.from({ length: INGEST_PORTS }, () => freePort()))
  const held = stack.use(new AsyncDisposableStack())
  const crashes: string[] = []
  const free = [...ports]
  const all: Pod[] = []
  const ending = new Set<Promise<void>>()
  let pods: Pod[] = []
  let ended = 0

  async function start(role: Role): Promise<Pod> {
    const { command, settings, readiness, startup } = specs[role]
    const port = role === 'worker' ? await freePort() : await eventually(() => free.shift())
    const [file = '', ...flags] = [...command].reverse()
    const running = held.use(
      run(file, [], {
        ...env,
        ...settings,
        NODE_OPTIONS: flags.join(' '),
        [PORT[role]]: `${port}`,
      }),
    )
    const pod = { role, port, running }
    all.push(pod)
    for (let tries = 0; tries < startup.tries; tries++, await pause(startup.everyMs)) {
      if (await answers(port, readiness.path)) return pod
    }
    throw new Error(`a ${role} was not ready in time: ${running.output().slice(-500)}`)
  }

  function end(pod: Pod): void {
    const { graceMs } = specs[pod.role]
    const leaving = (async () => {
      pod.running.kill('SIGTERM')
      const limit = setTimeout(() => pod.running.kill('SIGKILL'), graceMs)
      const how = await pod.running.exited
      clearTimeout(limit)
      if (pod.role === 'ingest') free.push(pod.port)
      ended++
      if (how !== 0) crashes.push(`a replaced ${pod.role} ended with ${how}`)
    })()
    ending.add(leaving)
  }

  /** maxSurge 1, maxUnavailable 0: one leaves when the next one is ready. */
  async function replaceInTurn(old: readonly Pod[]): Promise<Pod[]> {
    const next: Pod[] = []
    for (const pod of old) {
      next.push(await start(pod.role))
      end(pod)
    }
    return next
  }

  /** maxSurge and maxUnavailable 100 %. */
  function replaceAtOnce(old: readonly Pod[]): Promise<Pod[]> {
    for (const pod of old) end(pod)
    return Promise.all(old.map(({ role }) => start(role)))
  }

  const roles = (['ingest', 'worker'] as const).flatMap((role) => Array<Role>(replicas[role]).fill(role))
  pods = await Promise.all(roles.map(start))
  const { path, periodMs, failures } = specs.ingest.readiness
  const balancer = stack.use(await startHaProxy(haproxy, ports, { path, everyMs: periodMs, failures }))
  await eventually(async () => (await balancer.serving()).length === replicas.ingest)
  const owned = stack.move()

  return {
    port: balancer.port,
    async restart() {
      const replace = (role: Role) =>
        (specs[role].atOnce ? replaceAtOnce : replaceInTurn)(pods.filter((pod) => pod.role === role))
      pods = (await Promise.all([replace('ingest'), replace('worker')])).flat()
    },
    async settled() {
      await Promise.all(ending)
      return ended
    },
    members: [],
    ingests: () => [],
    workers: () => [],
    get restarts() {
      return ended
    },
    crashes,
    logged: (pattern) =>
      all.flatMap(({ running }) => running.output().split('\n')).filter((line) => pattern.test(line)).length,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** What the rendered chart says about a process. */
function specOf(role: Role) {
  const manifests = parseManifests(readFileSync(join(ROOT, RENDERED_FILE), 'utf8'))
  const { strategy, template } = theOne(manifests, 'Deployment', `sluice-${role}`).spec
  const [container] = template.spec.containers
  const settings = container.env.filter(({ name }: { name: string }) => !/_(FILE|HOST)$/.test(name))
  const { readinessProbe, startupProbe } = container
  return {
    command: container.command.slice(1) as string[],
    settings: Object.fromEntries(settings.map(({ name, value }: Record<string, string>) => [name, value])),
    graceMs: template.spec.terminationGracePeriodSeconds * 1_000,
    startup: {
      everyMs: startupProbe.periodSeconds * 1_000,
      tries: startupProbe.failureThreshold as number,
    },
    readiness: {
      path: readinessProbe.httpGet.path as string,
      periodMs: readinessProbe.periodSeconds * 1_000,
      failures: readinessProbe.failureThreshold as number,
    },
    atOnce: strategy.rollingUpdate.maxUnavailable === '100%',
  }
}

async function answers(port: number, path: string): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(2_000) }).then(
    ({ ok }) => ok,
    () => false,
  )
}
