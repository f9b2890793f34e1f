import { pathOf } from '@sluice/testkit/path-of'
import type { Fault } from './fault.ts'

const PROCESSES = 5

/** Rolling restarts as Kubernetes does them with the chart's own commands and times, one right after the other. */
function rollingRestarts(id: string, restarts: number, times: number): Fault {
  return {
    id,
    name: `${restarts} rolling restarts of two ingests and three workers behind HAProxy, as the chart does them`,
    world: { rollout: { ingest: 2, worker: 3 } },
    impossible: () => (pathOf('haproxy') ? undefined : 'haproxy is not installed'),
    times,
    seconds: restarts * 8,
    async inject({ rollout, trace }) {
      for (let i = 0; i < restarts; i++) {
        await rollout.restart()
        trace('stopped', PROCESSES)
      }
    },
    async heal({ rollout }) {
      await rollout.settled()
    },
    effect: { stopped: restarts * PROCESSES, restarts: restarts * PROCESSES },
  }
}

export const rolloutFaults: readonly Fault[] = [
  rollingRestarts('R01', 10, 3),
  rollingRestarts('R01-two', 2, 0.5),
]
