/**
 * The steps at which a crash is tried out, in the order in which an event passes them. `npm run chaos` kills at each.
 */
export const FAILPOINTS = [
  'ingest-after-auth',
  'ingest-before-add',
  'ingest-after-add',
  'ingest-after-inbox',
  'ingest-after-reply',
  'worker-after-claim',
  'worker-before-transaction',
  'worker-in-transaction',
  'worker-after-commit',
  'worker-after-dead-letter',
  'sweeper-after-insert',
  'replay-in-transaction',
  'migrate-in-middle',
] as const

export type Failpoint = (typeof FAILPOINTS)[number]

let armed: { name: string; left: number } | undefined

/**
 * Arms one failpoint for this process, from `SLUICE_FAILPOINT=name[:nth]`: the n-th time that it is passed, the process
 * kills itself with SIGKILL. For tests alone; `main.ts` calls it.
 */
export function armFailpoint(setting: string | undefined): void {
  const [name = '', nth = '1'] = (setting ?? '').split(':')
  armed = name === '' ? undefined : { name, left: Number(nth) }
}

/** Passes a step; costs one comparison where nothing is armed. */
export function failpoint(name: Failpoint): void {
  if (armed?.name === name && --armed.left === 0) process.kill(process.pid, 'SIGKILL')
}
