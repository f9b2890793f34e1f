const ASKED_EVERY_MS = 200

/** Chooses a port for each connection. */
export type Balancer = AsyncDisposable & { next(): number | undefined }

/**
 * Takes turns among the ingests that report that they are ready. If none does, it takes turns among all that listen.
 *
 * @param ports those that listen now
 */
export function createBalancer(ports: () => readonly number[]): Balancer {
  const ready = new Set<number>()
  let connections = 0
  const timer = setInterval(() => {
    for (const port of ports()) {
      fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(1_000) }).then(
        ({ ok }) => (ok ? ready.add(port) : ready.delete(port)),
        () => ready.delete(port),
      )
    }
  }, ASKED_EVERY_MS)
  return {
    next() {
      const all = ports()
      const good = all.filter((port) => ready.has(port))
      const choice = good.length > 0 ? good : all
      return choice[connections++ % choice.length]
    },
    [Symbol.asyncDispose]: async () => clearInterval(timer),
  }
}
