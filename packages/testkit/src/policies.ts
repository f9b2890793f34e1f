import type { Manifest } from './manifests.ts'

/** What the pods of the chart break of our policies, each with its name; empty if nothing. */
export function policyProblems(manifests: readonly Manifest[]): string[] {
  const pods = manifests.filter(({ kind }) => kind === 'Deployment' || kind === 'Job')
  return [
    ...pods.flatMap((manifest) =>
      Object.entries(POLICIES).flatMap(([policy, holds]) =>
        holds(manifest) ? [] : [`${manifest.kind} ${manifest.metadata.name}: ${policy}`],
      ),
    ),
    ...selectorProblems(manifests),
  ]
}

type Policy = (manifest: Manifest) => boolean

const pod = (manifest: Manifest) => manifest.spec.template.spec
const only = (manifest: Manifest) => pod(manifest).containers[0]
const serves = ({ kind }: Manifest) => kind === 'Deployment'
const probe =
  (name: string, path: string): Policy =>
  (manifest) => {
    if (!serves(manifest)) return only(manifest)[name] === undefined
    const get = only(manifest)[name]?.httpGet
    const ports: { name: string }[] = only(manifest).ports
    return get?.path === path && ports.some((port) => port.name === get.port)
  }

/** The restricted profile (kubernetes.io: Pod Security Standards), and what we ask for besides. */
const POLICIES: Readonly<Record<string, Policy>> = {
  'has one container': (manifest) => pod(manifest).containers.length === 1 && !pod(manifest).initContainers,
  'runs as another user than root': (manifest) => pod(manifest).securityContext.runAsNonRoot === true,
  'says the number of its user, since Kubernetes cannot know who `node` is': (manifest) =>
    pod(manifest).securityContext.runAsUser === undefined || pod(manifest).securityContext.runAsUser > 0,
  "has the runtime's seccomp profile": (manifest) =>
    pod(manifest).securityContext.seccompProfile?.type === 'RuntimeDefault',
  'cannot gain privileges': (manifest) => only(manifest).securityContext?.allowPrivilegeEscalation === false,
  'has no capabilities': (manifest) =>
    only(manifest).securityContext?.capabilities?.drop?.includes('ALL') === true &&
    only(manifest).securityContext.capabilities.add === undefined,
  'is not privileged': (manifest) => only(manifest).securityContext?.privileged === undefined,
  'writes to no file of the image': (manifest) =>
    only(manifest).securityContext?.readOnlyRootFilesystem === true,
  'shares nothing with the host': (manifest) =>
    ['hostNetwork', 'hostPID', 'hostIPC'].every((name) => pod(manifest)[name] === undefined) &&
    (only(manifest).ports ?? []).every((port: { hostPort?: number }) => port.hostPort === undefined),
  'mounts secrets and claims alone': (manifest) =>
    pod(manifest).volumes.every((volume: object) => 'secret' in volume || 'persistentVolumeClaim' in volume),
  'has no token for the API': (manifest) => pod(manifest).automountServiceAccountToken === false,
  'gets no variables of services': (manifest) => pod(manifest).enableServiceLinks === false,
  'is told of a SIGTERM while it loads': (manifest) => pod(manifest).shareProcessNamespace === true,
  'asks for CPU and memory, and has a limit of memory': ({ ...manifest }) => {
    const { requests, limits } = only(manifest as Manifest).resources ?? {}
    return Boolean(requests?.cpu && requests.memory && limits?.memory && !limits.cpu)
  },
  'has a startup probe': probe('startupProbe', '/livez'),
  'has a liveness probe, which asks no store': probe('livenessProbe', '/livez'),
  'has a readiness probe': probe('readinessProbe', '/readyz'),
  'has no secret in its environment': (manifest) =>
    only(manifest).env.every(
      ({ name, value }: { name: string; value: string }) =>
        !/(_URL|CREDENTIALS|SECRET|ALERTS)$/.test(name) && !/:\/\/[^/]*@/.test(value),
    ),
  'has each file that a setting names': (manifest) => {
    const mount = only(manifest).volumeMounts.find(({ name }: { name: string }) => name === 'secrets')
    const volume = pod(manifest).volumes.find(({ name }: { name: string }) => name === 'secrets')
    const files = volume.secret.items.map(({ path }: { path: string }) => `${mount.mountPath}/${path}`)
    const named = only(manifest).env.filter(({ name }: { name: string }) => name.endsWith('_FILE'))
    if (mount.subPath !== undefined || volume.secret.defaultMode !== 0o440) return false
    return named.every(({ value }: { value: string }) => files.includes(value))
  },
  'has at least as long to end as it serves on': (manifest) => {
    const delay = only(manifest).env.find(({ name }: { name: string }) => name === 'SHUTDOWN_DELAY_SECONDS')
    // What is under way takes 10 s at most, and the stores are closed after it.
    return pod(manifest).terminationGracePeriodSeconds >= Number(delay?.value ?? 0) + 25
  },
}

/** What selects pods must select those of one Deployment; and no two things scale the same one. */
function selectorProblems(manifests: readonly Manifest[]): string[] {
  const deployments = manifests.filter(({ kind }) => kind === 'Deployment')
  const labels = (manifest: Manifest) => manifest.spec.template.metadata.labels
  const fits = (selector: object, manifest: Manifest) =>
    Object.entries(selector).every(([name, value]) => labels(manifest)[name] === value)
  const selectors = manifests.flatMap((manifest) => {
    const { spec, kind } = manifest
    if (kind === 'Service') return [{ manifest, selector: spec.selector }]
    if (kind === 'PodDisruptionBudget' || kind === 'Deployment')
      return [{ manifest, selector: spec.selector.matchLabels }]
    return []
  })
  const scaled = manifests.filter(({ kind }) => ['HorizontalPodAutoscaler', 'ScaledObject'].includes(kind))
  const isScaled = ({ metadata }: Manifest) =>
    scaled.some(({ spec }) => spec.scaleTargetRef.name === metadata.name)
  return [
    ...selectors.flatMap(({ manifest, selector }) => {
      const count = deployments.filter((each) => fits(selector, each)).length
      return count === 1 ? [] : [`${manifest.kind} ${manifest.metadata.name}: selects ${count} deployments`]
    }),
    ...deployments.flatMap((each) =>
      (each.spec.replicas === undefined) === isScaled(each)
        ? []
        : [`Deployment ${each.metadata.name}: its replicas have no or two owners`],
    ),
  ]
}
