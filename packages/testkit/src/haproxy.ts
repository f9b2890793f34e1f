import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, keep } from '@sluice/embedded'

/** A load balancer that finds the ready ones of several ports by itself. */
export type HaProxy = AsyncDisposable & {
  readonly port: number
  /** The ports that it sends requests to. */
  serving(): Promise<number[]>
}

/**
 * It never tries a request again: what it cannot deliver, the sender sees as 502 or 503.
 *
 * @param ports of 127.0.0.1; nothing need listen there
 * @param check how often it asks each port, and after how many failures a port gets nothing more
 */
export async function startHaProxy(
  binary: string,
  ports: readonly number[],
  check: { path: string; everyMs: number; failures: number },
): Promise<HaProxy> {
  const dir = await mkdtemp(join(tmpdir(), 'sluice-haproxy-'))
  const [port, statsPort] = [await freePort(), await freePort()]
  const servers = ports.map((each) => `  server p${each} 127.0.0.1:${each}`)
  const lines = [
    'global',
    '  maxconn 2000',
    'defaults',
    '  mode http',
    '  retries 0',
    '  timeout connect 5s',
    '  timeout client 65s',
    '  timeout server 30s',
    '  timeout http-keep-alive 60s', // an ingest closes idle connections after 65 s
    'listen ingests',
    `  bind 127.0.0.1:${port}`,
    '  balance roundrobin',
    `  option httpchk GET ${check.path}`,
    `  default-server check inter ${check.everyMs}ms rise 1 fall ${check.failures}`,
    ...servers,
    'frontend figures',
    `  bind 127.0.0.1:${statsPort}`,
    '  stats enable',
    '  stats uri /',
    '',
  ]
  const config = join(dir, 'haproxy.cfg')
  await writeFile(config, lines.join('\n'))
  const kept = keep({
    command: binary,
    args: ['-db', '-f', config],
    stopSignal: 'SIGTERM',
    logFile: join(dir, 'log'),
    cwd: dir,
  })
  return {
    port,
    async serving() {
      const csv = await fetch(`http://127.0.0.1:${statsPort}/;csv`).then(
        (response) => response.text(),
        () => '',
      )
      return [...csv.matchAll(/^ingests,p(\d+),(?:[^,]*,){15}UP/gm)].map(([, each]) => Number(each))
    },
    async [Symbol.asyncDispose]() {
      await kept.stop(2_000)
      await rm(dir, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
