import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  chartFiles,
  lintChart,
  RENDERED_FILE,
  ROOT,
  renderChart,
  renderManifests,
  showNotes,
} from '@sluice/testkit/chart'
import {
  type Manifest,
  parseManifests,
  schemaProblems,
  theOne,
  typeProblems,
} from '@sluice/testkit/manifests'
import { policyProblems } from '@sluice/testkit/policies'
import { program } from '@sluice/testkit/programs'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'

const VALUES = ['existing-secret', 'small', 'large', 'prometheus', 'gitops', 'openshift']
const helm = program('helm') ?? ''
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
type Spec = Manifest['spec']
/** A copy that may be changed. */
const copy = (manifests: readonly Manifest[]) => structuredClone(manifests) as Manifest[]

describe('the files of the chart', () => {
  it.each(Object.entries(chartFiles()))('%s is as `npm run chart` writes it', (file, text) => {
    expect(read(file)).toBe(text)
  })

  it('have the version of package.json', () => {
    const { version } = JSON.parse(read('package.json'))
    expect(parse(read('deploy/chart/Chart.yaml'))).toMatchObject({ version, appVersion: version })
  })

  it('start the processes as docker-compose.yml does', () => {
    const { services } = parse(read('docker-compose.yml'), { merge: true })
    const manifests = parseManifests(read(RENDERED_FILE))
    for (const name of ['ingest', 'worker', 'console']) {
      const { containers } = theOne(manifests, 'Deployment', `sluice-${name}`).spec.template.spec
      expect(containers[0].command).toEqual(services[name].command)
    }
  })
})

describe.skipIf(!helm)('the chart', () => {
  let rendered: Map<string, Manifest[]>
  beforeAll(() => {
    rendered = new Map(VALUES.map((values) => [values, parseManifests(renderChart(helm, values))]))
  })
  const manifests = (values: string) => rendered.get(values) as Manifest[]

  it.each(VALUES)('passes `helm lint --strict` with the values %s', (values) => {
    expect(lintChart(helm, values)).toContain('0 chart(s) failed')
  })

  it('is what deploy/kubernetes/rendered.yaml has: else run `npm run chart`', () => {
    expect(read(RENDERED_FILE)).toBe(renderManifests(helm))
  })

  it.each(VALUES)('is valid for the schemas of Kubernetes with the values %s', async (values) => {
    expect(await schemaProblems(manifests(values))).toEqual([])
  })

  it('has no field that Kubernetes does not know', async () => {
    expect(await typeProblems('chart', [...rendered.values()].flat())).toEqual([])
  })

  it.each(VALUES)('keeps the policies for pods with the values %s', (values) => {
    expect(policyProblems(manifests(values))).toEqual([])
  })

  it('gives each process the secrets that it reads, and no others', () => {
    const files = (name: string) =>
      theOne(manifests('large'), 'Deployment', `sluice-${name}`)
        .spec.template.spec.volumes[0].secret.items.map(({ key }: { key: string }) => key)
        .sort()
    const stores = ['DATABASE_URL', 'REDIS_URL']
    expect(files('ingest')).toEqual([
      'ALERTS',
      'DATABASE_URL',
      'IDWISE_LIVE_CREDENTIALS',
      'IDWISE_SANDBOX_CREDENTIALS',
      'REDIS_URL',
    ])
    const alerts = ['ALERTS', 'ALERTS_HEARTBEAT_URL']
    expect(files('worker')).toEqual([...alerts, ...stores])
    expect(files('scheduler')).toEqual([...alerts, ...stores])
    expect(files('console')).toEqual(['CONSOLE_CREDENTIALS', ...stores])
  })

  it('gives further sources their credentials and their paths', () => {
    const { volumes, containers } = theOne(manifests('gitops'), 'Deployment', 'sluice-ingest').spec.template
      .spec
    expect(volumes[0].secret.items.map(({ key }: { key: string }) => key)).toContain(
      'IDWISE_QAT_LIVE_CREDENTIALS',
    )
    expect(containers[0].env).toContainEqual({
      name: 'IDWISE_QAT_LIVE_CREDENTIALS_FILE',
      value: '/run/secrets/sluice/IDWISE_QAT_LIVE_CREDENTIALS',
    })
    const urls = showNotes(helm, 'gitops').match(/\/webhooks\/idwise\/\S+/g)
    expect(urls).toEqual(['/webhooks/idwise/live', '/webhooks/idwise/qat-live'])
  })

  it('has a migration for each revision, which is no hook', () => {
    const job = (...args: string[]) => {
      const all = parseManifests(renderChart(helm, 'existing-secret', args))
      return all.find(({ kind }) => kind === 'Job') as Manifest
    }
    const [first, otherImage] = [job(), job('--set', 'image.tag=0.3.0')]
    expect(first.metadata.name).toMatch(/^sluice-migrate-1-/)
    expect(first.metadata).not.toHaveProperty('annotations')
    expect(first.spec.template.spec.containers[0].command).toEqual(['sluice', 'migrate', '--wait'])
    // Where nobody counts revisions, another image still makes another Job.
    expect(otherImage.metadata.name).not.toBe(first.metadata.name)
  })

  it('restarts pods for another database, and not for other credentials', () => {
    const checksum = (secret: string) => {
      const all = parseManifests(renderChart(helm, 'small', ['--set', `secrets.values.${secret}`]))
      return theOne(all, 'Deployment', 'sluice-ingest').spec.template.metadata.annotations['checksum/secrets']
    }
    const before = checksum('IDWISE_LIVE_CREDENTIALS=bearer:a-token-of-the-live-environment')
    expect(checksum('IDWISE_LIVE_CREDENTIALS=bearer:the-next-token-of-the-rotation')).toBe(before)
    expect(checksum('DATABASE_URL=postgres://sluice@elsewhere/sluice')).not.toBe(before)
  })

  it('scales workers by how long the oldest event waits, and never below the fallback while nobody answers', () => {
    const { spec } = theOne(manifests('large'), 'ScaledObject', 'sluice-worker')
    expect(triggersOf(spec).map(({ metadata }) => metadata.valueLocation)).toEqual([
      'sluice_oldest_waiting_seconds{via="inbox"}',
      ...Array.from(
        { length: 12 },
        (_, shard) => `sluice_oldest_waiting_seconds{via="redis",shard="${shard}"}`,
      ),
    ])
    expect(spec).toMatchObject({ minReplicaCount: 4, maxReplicaCount: 16, fallback: { replicas: 8 } })
    const [trigger] = triggersOf(theOne(manifests('prometheus'), 'ScaledObject', 'sluice-worker').spec)
    expect(trigger?.metadata.query).toBe('max(sluice_oldest_waiting_seconds{namespace="sluice"})')
    expect(trigger?.metadata.ignoreNullValues).toBe('false')
    for (const { metricType } of [...triggersOf(spec), trigger as Trigger]) expect(metricType).toBe('Value')
  })

  it.each([
    ['the scheduler, where it runs alone', 'large', 'scheduler', []],
    ['the workers, where they do its duties', 'large', 'worker', ['--set', 'scheduler.enabled=false']],
    [
      'no queue that is not there',
      'small',
      'worker',
      ['--set', 'worker.autoscaling.enabled=true,worker.autoscaling.maxReplicas=4'],
    ],
  ])('asks %s', (_what, values, component, args) => {
    const all = parseManifests(renderChart(helm, values, args))
    const triggers = triggersOf(theOne(all, 'ScaledObject', 'sluice-worker').spec)
    expect(triggers).toHaveLength(values === 'small' ? 1 : 13)
    for (const { metadata } of triggers) {
      expect(metadata.url).toBe(`http://sluice-${component}-metrics.sluice.svc:9464/metrics`)
    }
    theOne(all, 'Service', `sluice-${component}-metrics`)
    const { env } = container(theOne(all, 'Deployment', `sluice-${component}`).spec)
    const [duties] = env.filter(({ name }: { name: string }) => name === 'SCHEDULER')
    expect(duties?.value ?? 'on').toBe('on')
  })

  it('brings the rules and the dashboard of deploy/observe', () => {
    const all = manifests('prometheus')
    expect(theOne(all, 'PrometheusRule', 'sluice-rules').spec).toEqual(
      parse(read('deploy/chart/files/rules.yaml')),
    )
    const { data } = theOne(all, 'ConfigMap', 'sluice-dashboard')
    expect(data['sluice.json']).toBe(read('deploy/chart/files/dashboard.json'))
  })

  it('says which URL to paste into the portal of IDWise', () => {
    expect(showNotes(helm, 'large')).toContain('https://hooks.example.com/webhooks/idwise/live')
    expect(showNotes(helm, 'small')).toContain('the Service sluice-ingest, port 80')
  })

  it('refuses wrong values, and names each of them', () => {
    const wrong = {
      'ingest.replica=2': "at '/ingest': additional properties 'replica' not allowed",
      'ingest.replicas=0': "at '/ingest/replicas': minimum: got 0, want 1",
      'ingest.shutdownDelaySeconds=121': "at '/ingest/shutdownDelaySeconds': maximum: got 121, want 120",
      'ingest.ingress.enabled=true': "at '/ingest/ingress/host': minLength: got 0, want 1",
      'settings.QUEUE_SHARD=2': "invalid propertyName 'QUEUE_SHARD'",
      'settings.REDIS_URL=redis://redis': "invalid propertyName 'REDIS_URL'",
      'settings.INGEST_PORT=3100': "invalid propertyName 'INGEST_PORT'",
      'image.digest=latest': "at '/image/digest': 'latest' does not match pattern",
      'podSecurity.runAsUser=0': "at '/podSecurity/runAsUser': minimum: got 0, want 1",
      'worker.autoscaling.enabled=true,worker.autoscaling.trigger=prometheus':
        "at '/worker/autoscaling/prometheusUrl': '' does not match pattern",
      'secrets.existingSecret=': "at '/secrets/values': missing properties",
    }
    const refused = refusal(Object.keys(wrong))
    expect(Object.values(wrong).filter((message) => !refused.includes(message))).toEqual([])
    const twoSecrets = refusal(['secrets.values.DATABASE_URL=postgres://a/b'])
    expect(twoSecrets).toContain("at '/secrets/values': maxProperties: got 1, want 0")
  })

  it.each<[string, (spec: Spec) => unknown]>([
    ['gained privileges', (spec) => delete container(spec).securityContext.allowPrivilegeEscalation],
    ['written files', (spec) => delete container(spec).securityContext.readOnlyRootFilesystem],
    [
      'a capability',
      (spec) => Object.assign(container(spec).securityContext.capabilities, { add: ['KILL'] }),
    ],
    ['a token', (spec) => delete spec.template.spec.automountServiceAccountToken],
    ['root', (spec) => delete spec.template.spec.securityContext.runAsNonRoot],
    ['no seccomp profile', (spec) => delete spec.template.spec.securityContext.seccompProfile],
    ['no readiness probe', (spec) => delete container(spec).readinessProbe],
    ['no limit of memory', (spec) => delete container(spec).resources.limits.memory],
    ['too short a grace', (spec) => Object.assign(spec.template.spec, { terminationGracePeriodSeconds: 12 })],
    ['a secret as a variable', (spec) => container(spec).env.push({ name: 'DATABASE_URL', value: 'x' })],
    ['a file that is not mounted', (spec) => spec.template.spec.volumes[0].secret.items.pop()],
    [
      'a folder of the host',
      (spec) => spec.template.spec.volumes.push({ name: 'a', hostPath: { path: '/' } }),
    ],
    ['a selector that fits no pod', (spec) => Object.assign(spec.selector.matchLabels, { other: 'label' })],
    ['replicas without an owner', (spec) => delete spec.replicas],
  ])('keeps to policies that notice %s', (_what, mutate) => {
    const changed = copy(manifests('existing-secret'))
    mutate(theOne(changed, 'Deployment', 'sluice-ingest').spec)
    expect(policyProblems(changed)).toHaveLength(1)
  })

  it('is checked by schemas that notice a text for a number, and a misspelt field', async () => {
    const changed = copy(manifests('existing-secret'))
    theOne(changed, 'Deployment', 'sluice-ingest').spec.template.spec.terminationGracePeriodSeconds = '60'
    expect(await schemaProblems(changed)).toEqual([expect.stringContaining('terminationGracePeriodSeconds')])
    const misspelt = copy(manifests('existing-secret'))
    theOne(misspelt, 'PodDisruptionBudget', 'sluice-ingest').spec.minAvailabel = 1
    expect(await schemaProblems(misspelt)).toEqual([])
    expect(await typeProblems('misspelt', misspelt)).toEqual([
      expect.stringMatching(/^PodDisruptionBudget sluice-ingest: .*minAvailabel/),
    ])
  })
})

function refusal(settings: readonly string[]): string {
  try {
    return renderChart(
      helm,
      'existing-secret',
      settings.flatMap((setting) => ['--set', setting]),
    )
  } catch (error) {
    return (error as Error).message
  }
}

const container = (spec: Spec) => spec.template.spec.containers[0]

type Trigger = { metricType: string; metadata: Record<string, string> }
const triggersOf = (spec: Spec): Trigger[] => spec.triggers
